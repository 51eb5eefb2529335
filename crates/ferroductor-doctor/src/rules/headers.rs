//! Headers that were not found or not accepted.
//!
//! What must hold: the header's name decides what is missing, the surroundings
//! decide for whom.

use super::{Confidence, Verdict, base_name};
use crate::case::{Case, Hit};
use crate::context::Actor;
use crate::kind::Kind;
use crate::signal::Signal;
use ferroductor_toolchain::Message;

fn header_hits(case: &Case, wanted: fn(&str) -> bool) -> impl Iterator<Item = &Hit> {
    case.all(Message::HeaderMissing).filter(move |h| {
        h.get("header")
            .is_some_and(|name| wanted(&name.replace('\\', "/")))
    })
}

fn is_python_header(name: &str) -> bool {
    matches!(
        base_name(name),
        "Python.h" | "pyconfig.h" | "patchlevel.h" | "pyport.h"
    )
}

fn python_h(case: &Case, kind: Kind, wanted: Actor) -> Option<Verdict> {
    let hit = header_hits(case, is_python_header).find(|h| case.actor_at(h) == Some(wanted))?;
    Some(Verdict::new(kind, Confidence::High, hit).about_capture(hit, "header"))
}

pub fn python_h_triton(case: &Case) -> Option<Verdict> {
    python_h(case, Kind::PythonHTriton, Actor::Triton)
}

pub fn python_h_inductor_cpp(case: &Case) -> Option<Verdict> {
    if let Some(verdict) = python_h(case, Kind::PythonHInductorCpp, Actor::InductorCpp) {
        return Some(verdict);
    }
    if let Some(verdict) = python_h(case, Kind::PythonHInductorCpp, Actor::Ferroductor) {
        return Some(verdict);
    }
    // The warning comes before the failure; alone it is only a likely cause.
    let hit = case.first(Signal::PythonHeaderWarning)?;
    let failed = case.has(Signal::CompileErrorRaised);
    let other_cause = case.has(Message::HeaderMissing) || case.has(Signal::InvalidCxxCompiler);
    let confidence = if failed {
        Confidence::Medium
    } else {
        Confidence::Low
    };
    (!other_cause)
        .then(|| Verdict::new(Kind::PythonHInductorCpp, confidence, hit).about("Python.h"))
}

pub fn python_h_cpp_extension(case: &Case) -> Option<Verdict> {
    if let Some(verdict) = python_h(case, Kind::PythonHCppExtension, Actor::CppExtension) {
        return Some(verdict);
    }
    // An extension of some other package: the headers are missing all the same.
    let Some(hit) = header_hits(case, is_python_header).find(|h| case.actor_at(h).is_none()) else {
        // CMake looks for the headers itself, and says so in its own words.
        let optional = |h: &&Hit| h.text.starts_with("--");
        let hit = case
            .all(Signal::CMakePythonMissing)
            .find(|h| !optional(h))?;
        let verdict = Verdict::new(Kind::PythonHCppExtension, Confidence::Medium, hit);
        return Some(verdict.about("Python.h"));
    };
    let building = case.has(Signal::DistutilsBuildFailed);
    let confidence = if building {
        Confidence::High
    } else if names_a_source_line(hit) {
        Confidence::Medium
    } else {
        // Perhaps only a text about the message.
        Confidence::Low
    };
    Some(Verdict::new(Kind::PythonHCppExtension, confidence, hit).about_capture(hit, "header"))
}

/// Whether a compiler's message says where in a source file it stands.
fn names_a_source_line(hit: &Hit) -> bool {
    let before = hit.text.split("error").next().unwrap_or_default();
    let place = before.trim_end().trim_end_matches("fatal").trim_end();
    place
        .strip_suffix(':')
        .is_some_and(|p| p.ends_with(|c: char| c.is_ascii_digit() || c == ')'))
}

fn is_openmp_header(name: &str) -> bool {
    matches!(base_name(name), "omp.h" | "omp-tools.h")
}

pub fn omp_h_linux(case: &Case) -> Option<Verdict> {
    if case.context.is_macos() || case.context.is_windows() {
        return None;
    }
    if let Some(hit) = header_hits(case, is_openmp_header).find(|h| !h.text.contains("C1083")) {
        return Some(Verdict::new(Kind::OmpHLinux, Confidence::High, hit).about("omp.h"));
    }
    let Some(hit) = case
        .all(Message::LibraryMissing)
        .find(|h| h.get("lib") == Some("omp"))
    else {
        let rejected = || case.first(Signal::OpenMpHeaderRejected);
        let hit = required_openmp(case).or_else(rejected)?;
        return Some(Verdict::new(Kind::OmpHLinux, Confidence::Medium, hit).about("OpenMP"));
    };
    // Apple's linker says "library not found"; that wording is macOS wherever the log comes from.
    let linux = hit.text.contains("cannot find") || hit.text.contains("unable to find");
    linux.then(|| Verdict::new(Kind::OmpHLinux, Confidence::High, hit).about("libomp"))
}

/// CMake looked for OpenMP, did not find it, and gave up.
fn required_openmp(case: &Case) -> Option<&Hit> {
    let mut tests = case.all(Signal::CMakeOpenMpMissing);
    tests.find(|h| !h.text.starts_with("--"))
}

pub fn omp_macos(case: &Case) -> Option<Verdict> {
    let apple_words =
        |h: &&Hit| h.text.contains("library not found") || h.text.contains("ld: library '");
    let linker = case
        .all(Message::LibraryMissing)
        .filter(|h| h.get("lib") == Some("omp"))
        .find(apple_words);
    if let Some(hit) = linker {
        return Some(Verdict::new(Kind::OmpMacos, Confidence::High, hit).about("libomp"));
    }
    let on_macos = case.context.is_macos();
    if let Some(hit) = required_openmp(case).filter(|_| on_macos) {
        return Some(Verdict::new(Kind::OmpMacos, Confidence::High, hit).about("OpenMP"));
    }
    if let Some(hit) = header_hits(case, is_openmp_header).find(|_| on_macos) {
        return Some(Verdict::new(Kind::OmpMacos, Confidence::High, hit).about("omp.h"));
    }
    if let Some(hit) = case.first(Message::OpenMpUnsupported) {
        let confidence = if on_macos {
            Confidence::High
        } else {
            Confidence::Medium
        };
        return Some(Verdict::new(Kind::OmpMacos, confidence, hit).about("-fopenmp"));
    }
    let loaded = |h: &&Hit| h.get("path").is_some_and(|p| p.contains("libomp"));
    let hit = case.all(Message::SharedObjectMissing).find(loaded)?;
    Some(Verdict::new(Kind::OmpMacos, Confidence::High, hit).about("libomp.dylib"))
}

/// Headers of the C and C++ libraries and of the compiler itself.
const SYSTEM_HEADERS: &[&str] = &[
    "algorithm",
    "array",
    "atomic",
    "bitset",
    "cassert",
    "cfloat",
    "chrono",
    "cinttypes",
    "climits",
    "cmath",
    "complex",
    "concepts",
    "condition_variable",
    "cstddef",
    "cstdint",
    "cstdio",
    "cstdlib",
    "cstring",
    "ctime",
    "deque",
    "exception",
    "functional",
    "initializer_list",
    "iomanip",
    "iosfwd",
    "iostream",
    "istream",
    "iterator",
    "limits",
    "list",
    "locale",
    "map",
    "memory",
    "mutex",
    "new",
    "numeric",
    "optional",
    "ostream",
    "queue",
    "random",
    "ratio",
    "regex",
    "set",
    "sstream",
    "stdexcept",
    "streambuf",
    "string",
    "string_view",
    "system_error",
    "thread",
    "tuple",
    "type_traits",
    "typeinfo",
    "unordered_map",
    "unordered_set",
    "utility",
    "variant",
    "vector",
    "version",
    "crypt.h",
    "assert.h",
    "ctype.h",
    "errno.h",
    "features.h",
    "float.h",
    "inttypes.h",
    "limits.h",
    "locale.h",
    "malloc.h",
    "math.h",
    "memory.h",
    "pthread.h",
    "sched.h",
    "signal.h",
    "stdarg.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
    "stdio.h",
    "stdlib.h",
    "string.h",
    "strings.h",
    "time.h",
    "unistd.h",
    "wchar.h",
    "dlfcn.h",
    "fcntl.h",
    "endian.h",
    "alloca.h",
    "stubs.h",
    "stubs-32.h",
    "stubs-64.h",
    "types.h",
    "cdefs.h",
    "_types.h",
    "immintrin.h",
    "x86intrin.h",
    "xmmintrin.h",
    "emmintrin.h",
    "cpuid.h",
    "arm_neon.h",
    "libintl.h",
    "sys/types.h",
];

/// Whether a header belongs to the C or C++ library.
pub fn is_system_header(name: &str) -> bool {
    let in_system_folder = [
        "bits/",
        "gnu/",
        "asm/",
        "asm-generic/",
        "linux/",
        "sys/",
        "ext/",
        "machine/",
    ];
    let known = SYSTEM_HEADERS.contains(&name) || SYSTEM_HEADERS.contains(&base_name(name));
    in_system_folder.iter().any(|d| name.starts_with(d))
        || (known && name.matches('/').count() <= 1)
}

pub fn libc_headers_missing(case: &Case) -> Option<Verdict> {
    if case.context.is_windows() {
        return None;
    }
    let built_for_torch = case.context.has_actor() || case.has(Signal::DistutilsBuildFailed);
    // A name below `linux/` may also be a header of the project itself.
    let certainly_system = |name: &str| SYSTEM_HEADERS.contains(&base_name(name));
    let hit = header_hits(case, is_system_header)
        .filter(|h| built_for_torch || h.get("header").is_some_and(certainly_system))
        .find(|h| !h.text.contains("C1083"));
    if let Some(hit) = hit {
        let confidence = if built_for_torch {
            Confidence::High
        } else {
            Confidence::Medium
        };
        return Some(
            Verdict::new(Kind::LibcHeadersMissing, confidence, hit).about_capture(hit, "header"),
        );
    }
    if let Some(hit) = case
        .all(Message::LibraryMissing)
        .find(|h| h.get("object").is_some())
    {
        return Some(
            Verdict::new(Kind::LibcHeadersMissing, Confidence::High, hit)
                .about_capture(hit, "object"),
        );
    }
    let libc = ["c", "m", "stdc++", "gcc", "gcc_s", "dl", "rt"];
    let hit = case
        .all(Message::LibraryMissing)
        .find(|h| h.get("lib").is_some_and(|l| libc.contains(&l)) && !h.text.contains("conda"))?;
    Some(Verdict::new(Kind::LibcHeadersMissing, Confidence::Medium, hit).about_capture(hit, "lib"))
}

fn is_cuda_header(name: &str) -> bool {
    let base = base_name(name);
    matches!(
        base,
        "cuda.h"
            | "cuda_runtime.h"
            | "cuda_runtime_api.h"
            | "driver_types.h"
            | "cuda_fp16.h"
            | "cuda_bf16.h"
    ) && !name.contains("torch/")
}

fn is_cuda_library_header(name: &str) -> bool {
    let base = base_name(name);
    [
        "cublas", "cusparse", "cusolver", "cufft", "curand", "nvrtc", "cudnn",
    ]
    .iter()
    .any(|p| base.starts_with(p))
        || name.starts_with("cub/")
        || name.starts_with("thrust/")
        || name.starts_with("nv/target")
}

pub fn cuda_h_missing(case: &Case) -> Option<Verdict> {
    if let Some(hit) = header_hits(case, is_cuda_header).next() {
        return Some(
            Verdict::new(Kind::CudaHMissing, Confidence::High, hit).about_capture(hit, "header"),
        );
    }
    let hit = header_hits(case, is_cuda_library_header).next()?;
    Some(Verdict::new(Kind::CudaHMissing, Confidence::Medium, hit).about_capture(hit, "header"))
}

pub fn precompiled_header(case: &Case) -> Option<Verdict> {
    let hit = case.first(Message::PrecompiledHeaderRefused)?;
    let inductor = hit.near_any(&["torchinductor", "_inductor", "precompiled_headers"])
        || case.context.nearest_actor(hit.line, 200) == Some(Actor::InductorCpp);
    let confidence = if inductor {
        Confidence::High
    } else {
        Confidence::Medium
    };
    Some(Verdict::new(Kind::PrecompiledHeader, confidence, hit))
}
