//! Programs that are missing, half installed, too old, or die.
//!
//! What must hold: a program that is missing is named in the verdict; a
//! compiler that crashed is told from one that the system killed.

use super::{Confidence, Verdict, base_name};
use crate::case::{Case, Hit};
use crate::context::Actor;
use crate::kind::Kind;
use crate::rules::headers::is_system_header;
use crate::signal::Signal;
use ferroductor_toolchain::Message;

/// A program name without folder, version suffix and cross-compiler prefix.
fn plain_program(path: &str) -> String {
    let base = base_name(path).trim_end_matches(".exe");
    let base = base.split(' ').next().unwrap_or(base);
    let stem = match base.rsplit_once('-') {
        Some((stem, tail)) if tail.chars().all(|c| c.is_ascii_digit() || c == '.') => stem,
        _ => base,
    };
    stem.rsplit('-').next().unwrap_or(stem).to_owned()
}

fn is_cxx(program: &str) -> bool {
    matches!(
        program,
        "g++" | "c++" | "clang++" | "icpx" | "CMAKE_CXX_COMPILER" | "C++"
    )
}

fn is_cc(program: &str) -> bool {
    matches!(
        program,
        "gcc" | "cc" | "clang" | "icx" | "CMAKE_C_COMPILER" | "C"
    )
}

/// Whether a path names a program that builds run, and no folder or file of theirs.
pub fn is_build_program(path: &str) -> bool {
    let program = plain_program(path);
    is_cxx(&program)
        || is_cc(&program)
        || matches!(
            program.as_str(),
            "nvcc" | "cl" | "ptxas" | "ninja" | "ld" | "as" | "cmake" | "ccache"
        )
}

/// A compiler that is there and that the system refuses to run: it lacks the
/// right to be executed, or was built for another machine.
fn refused_compiler(case: &Case) -> Option<(&Hit, String)> {
    let refused = case
        .all(Signal::ExecFormatError)
        .chain(case.all(Message::PermissionDenied));
    refused
        .filter_map(|h| {
            let path = h.get("path").or_else(|| h.get("program"))?;
            Some((h, path.to_owned()))
        })
        .find(|(_, path)| is_cxx(&plain_program(path)) || is_cc(&plain_program(path)))
}

/// A line that says a program does not exist, with that program.
fn missing_program(hit: &Hit) -> Option<String> {
    [
        "program", "name", "tool", "path", "module", "target", "found", "by", "wanted", "asked",
        "limit", "header", "object", "symbol",
    ]
    .iter()
    .find_map(|n| hit.get(n))
    .map(plain_program)
}

pub fn missing_programs(
    case: &Case,
    wanted: fn(&str) -> bool,
) -> impl Iterator<Item = (&Hit, String)> {
    case.all(Message::ProgramMissing)
        .chain(case.all(Message::FileMissing))
        .filter_map(|h| missing_program(h).map(|p| (h, p)))
        .filter(move |(_, p)| wanted(p))
}

pub fn no_cxx_compiler(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case.first(Signal::InvalidCxxCompiler) {
        let verdict = Verdict::new(Kind::NoCxxCompiler, Confidence::High, hit).about("g++");
        return Some(verdict);
    }
    if let Some(hit) = case.first(Signal::XcodeToolsMissing) {
        let verdict = Verdict::new(Kind::NoCxxCompiler, Confidence::High, hit).about("clang++");
        return Some(verdict);
    }
    if let Some((hit, path)) = refused_compiler(case) {
        return Some(Verdict::new(Kind::NoCxxCompiler, Confidence::High, hit).about(path));
    }
    if let Some((hit, program)) = missing_programs(case, is_cxx).next() {
        let build = case.context.has_actor()
            || case.has(Signal::DistutilsBuildFailed)
            || hit.text.contains("error: command");
        let confidence = if build {
            Confidence::High
        } else {
            Confidence::Medium
        };
        return Some(Verdict::new(Kind::NoCxxCompiler, confidence, hit).about(program));
    }
    let (hit, program) =
        missing_programs(case, is_cc).find(|(h, _)| case.actor_at(h) != Some(Actor::Triton))?;
    let build = case.context.has_actor() || hit.text.contains("error: command");
    let confidence = if build {
        Confidence::High
    } else {
        Confidence::Medium
    };
    Some(Verdict::new(Kind::NoCxxCompiler, confidence, hit).about(program))
}

pub fn no_c_compiler_triton(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case.first(Signal::TritonNoCCompiler) {
        return Some(Verdict::new(Kind::NoCCompilerTriton, Confidence::High, hit).about("gcc"));
    }
    let (hit, program) =
        missing_programs(case, is_cc).find(|(h, _)| case.actor_at(h) == Some(Actor::Triton))?;
    Some(Verdict::new(Kind::NoCCompilerTriton, Confidence::High, hit).about(program))
}

pub fn msvc_cl_not_found(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case
        .first(Signal::ClNotFound)
        .or_else(|| case.first(Signal::MsvcRequired))
    {
        return Some(Verdict::new(Kind::MsvcClNotFound, Confidence::High, hit).about("cl.exe"));
    }
    let is_cl = |p: &str| matches!(p, "cl" | "icx-cl" | "clang-cl");
    let (hit, _) = missing_programs(case, is_cl).next().or_else(|| {
        // distutils asks for a compiler without naming it.
        let build = |h: &&Hit| {
            h.text.contains("WinError 2") && case.actor_at(h) == Some(Actor::CppExtension)
        };
        case.all(Message::FileMissing)
            .find(build)
            .map(|h| (h, String::new()))
    })?;
    let confidence = if hit.text.contains("WinError 2") {
        Confidence::Medium
    } else {
        Confidence::High
    };
    Some(Verdict::new(Kind::MsvcClNotFound, confidence, hit).about("cl.exe"))
}

/// Headers and libraries that come with Visual Studio or the Windows SDK.
fn comes_with_visual_studio(name: &str) -> bool {
    const HEADERS: &[&str] = &[
        "omp.h",
        "crtdefs.h",
        "corecrt.h",
        "vcruntime.h",
        "windows.h",
        "io.h",
        "intrin.h",
        "sal.h",
        "winsock2.h",
        "process.h",
        "basetsd.h",
        "direct.h",
        "specstrings.h",
        "sdkddkver.h",
        "winapifamily.h",
        "yvals.h",
        "yvals_core.h",
        "crtdbg.h",
        "malloc.h",
    ];
    const LIBRARIES: &[&str] = &[
        "msvcrt",
        "msvcprt",
        "libcmt",
        "libcpmt",
        "vcruntime",
        "ucrt",
        "kernel32",
        "user32",
        "uuid",
        "oldnames",
        "vcomp",
        "advapi32",
        "shell32",
        "ole32",
        "libucrt",
        "libvcruntime",
    ];
    let lower = name.to_ascii_lowercase();
    let library = lower
        .strip_suffix(".lib")
        .is_some_and(|l| LIBRARIES.contains(&l.trim_end_matches('d')) || LIBRARIES.contains(&l));
    library || HEADERS.contains(&lower.as_str()) || is_system_header(&lower)
}

pub fn msvc_environment_not_loaded(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case.first(Message::NoIncludePath) {
        return Some(
            Verdict::new(Kind::MsvcEnvironmentNotLoaded, Confidence::High, hit).about("INCLUDE"),
        );
    }
    let on_windows =
        |h: &&Hit| h.text.contains("C1083") || h.text.contains("LNK1") || case.context.is_windows();
    let header = case
        .all(Message::HeaderMissing)
        .filter(on_windows)
        .find(|h| h.get("header").is_some_and(comes_with_visual_studio));
    let library = || {
        case.all(Message::LibraryMissing)
            .filter(on_windows)
            .find(|h| h.get("lib").is_some_and(comes_with_visual_studio))
    };
    if let Some(hit) = header {
        return Some(
            Verdict::new(Kind::MsvcEnvironmentNotLoaded, Confidence::High, hit)
                .about_capture(hit, "header"),
        );
    }
    // The linker runs programs of the Windows SDK, which only its environment names.
    let of_sdk = |program: &str| matches!(program, "rc" | "mt" | "cvtres");
    if let Some((hit, program)) = missing_programs(case, of_sdk).find(|(h, _)| on_windows(h)) {
        let verdict = Verdict::new(Kind::MsvcEnvironmentNotLoaded, Confidence::High, hit);
        return Some(verdict.about(format!("{program}.exe")));
    }
    if let Some(hit) = library() {
        return Some(
            Verdict::new(Kind::MsvcEnvironmentNotLoaded, Confidence::High, hit)
                .about_capture(hit, "lib"),
        );
    }
    let hit = case.first(Signal::MsvcPartlyActive)?;
    let failed = case.has(Signal::DistutilsBuildFailed) || case.has(Signal::ExtensionBuildFailed);
    failed.then(|| {
        Verdict::new(Kind::MsvcEnvironmentNotLoaded, Confidence::Low, hit)
            .about("DISTUTILS_USE_SDK")
    })
}

pub fn cxx_standard_too_old(case: &Case) -> Option<Verdict> {
    let hit = case
        .first(Message::UnsupportedStandard)
        .or_else(|| case.first(Message::CompilerTooOld));
    if let Some(hit) = hit {
        let flag = hit
            .get("flag")
            .or_else(|| hit.get("name"))
            .or_else(|| hit.get("tool"));
        let subject = flag
            .or_else(|| hit.get("found"))
            .unwrap_or("C++17")
            .to_owned();
        return Some(Verdict::new(Kind::CxxStandardTooOld, Confidence::High, hit).about(subject));
    }
    let hit = case.first(Message::NewSyntaxRejected)?;
    let torch_code =
        case.context.has_actor() || hit.near_any(&["/torch/", "torchinductor", "/c10/"]);
    torch_code.then(|| Verdict::new(Kind::CxxStandardTooOld, Confidence::High, hit).about("C++17"))
}

pub fn arch_flags_or_compiler_crash(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case.first(Message::UnknownArchitecture) {
        let flag = ["flag", "name", "program", "tool"]
            .iter()
            .find_map(|n| hit.get(n))
            .unwrap_or("-march");
        return Some(
            Verdict::new(Kind::ArchFlagsOrCompilerCrash, Confidence::High, hit).about(flag),
        );
    }
    let hit = case.first(Message::InternalCompilerError)?;
    if case.has(Message::CompilerKilled) {
        return None;
    }
    let confidence = if case.context.has_actor() || case.has(Signal::DistutilsBuildFailed) {
        Confidence::High
    } else {
        Confidence::Medium
    };
    Some(
        Verdict::new(Kind::ArchFlagsOrCompilerCrash, confidence, hit)
            .about("internal compiler error"),
    )
}

pub fn compiler_killed(case: &Case) -> Option<Verdict> {
    let hit = case.first(Message::CompilerKilled)?;
    Some(Verdict::new(Kind::CompilerKilledOom, Confidence::High, hit))
}

pub fn unicode_decode(case: &Case) -> Option<Verdict> {
    // Newer releases of torch refuse such a compiler before they run it.
    if let Some(hit) = case.first(Signal::MsvcNotEnglish) {
        let verdict = Verdict::new(Kind::UnicodeDecodeCompilerOutput, Confidence::High, hit);
        return Some(verdict.about("utf-8"));
    }
    let reads_compiler = [
        "cpp_builder",
        "cpu_vec_isa",
        "cpp_extension",
        "_inductor",
        "distutils",
        "_msvccompiler",
    ];
    let hit = case.all(Message::UndecodableOutput).find(|h| {
        h.near_any(&reads_compiler)
            || h.text.contains("InductorError")
            || matches!(
                case.context.nearest_actor(h.line, 25),
                Some(Actor::InductorCpp | Actor::CppExtension)
            )
    })?;
    let sure = hit.near_any(&reads_compiler) || hit.text.contains("InductorError");
    let confidence = if sure {
        Confidence::High
    } else {
        Confidence::Medium
    };
    Some(
        Verdict::new(Kind::UnicodeDecodeCompilerOutput, confidence, hit).about_capture(hit, "name"),
    )
}

pub fn ldconfig_missing(case: &Case) -> Option<Verdict> {
    let (hit, _) = missing_programs(case, |p| p == "ldconfig").next()?;
    let confidence = if case.context.has_actor() {
        Confidence::High
    } else {
        Confidence::Medium
    };
    Some(Verdict::new(Kind::LdconfigMissing, confidence, hit).about("/sbin/ldconfig"))
}

pub fn half_installed(case: &Case) -> Option<Verdict> {
    let hit = case.first(Message::CannotExecuteTool)?;
    let tool = ["tool", "program", "name", "module"]
        .iter()
        .find_map(|n| hit.get(n))
        .unwrap_or("as");
    Some(Verdict::new(Kind::HalfInstalledToolchain, Confidence::High, hit).about(tool))
}

pub fn openssl_missing(case: &Case) -> Option<Verdict> {
    let (hit, _) = missing_programs(case, |p| p == "openssl").next()?;
    let inductor =
        case.actor_at(hit) == Some(Actor::InductorCpp) || case.context.mentions(Actor::InductorCpp);
    let confidence = if inductor {
        Confidence::High
    } else {
        Confidence::Low
    };
    Some(Verdict::new(Kind::OpensslProgramMissing, confidence, hit).about("openssl"))
}

pub fn spawn_bad_address(case: &Case) -> Option<Verdict> {
    let compiler = |h: &&Hit| {
        h.get("path")
            .map(plain_program)
            .is_some_and(|p| is_cxx(&p) || is_cc(&p))
    };
    if let Some(hit) = case.all(Message::BadAddress).find(compiler) {
        return Some(
            Verdict::new(Kind::GxxSpawnBadAddress, Confidence::High, hit)
                .about_capture(hit, "path"),
        );
    }
    let hit = case.all(Message::BadAddress).find(|h| {
        h.text.contains("Errno 14") && (h.near_any(&["_inductor", "InductorError", "cpp_builder"]))
    })?;
    Some(Verdict::new(Kind::GxxSpawnBadAddress, Confidence::Medium, hit).about("g++"))
}

pub fn nvcc_not_executable(case: &Case) -> Option<Verdict> {
    let hit = case.all(Message::PermissionDenied).find(|h| {
        h.get("path").is_some_and(|p| base_name(p) == "nvcc")
            || h.get("program").is_some_and(|p| base_name(p) == "nvcc")
    })?;
    Some(Verdict::new(Kind::NvccNotExecutableWsl, Confidence::High, hit).about("nvcc"))
}
