//! The CUDA toolkit, its driver library, its assembler, and libtorch at link time.
//!
//! What must hold: the driver's library (libcuda), the toolkit's (libcudart)
//! and torch's own are three different things and never confused.

use super::programs::missing_programs;
use super::{Confidence, Verdict, base_name};
use crate::case::{Case, Hit, is_triton_helper};
use crate::context::Actor;
use crate::kind::Kind;
use crate::signal::Signal;
use ferroductor_toolchain::{FlagRole, Message};

fn library(case: &Case, wanted: fn(&str) -> bool) -> impl Iterator<Item = &Hit> {
    case.all(Message::LibraryMissing)
        .filter(move |h| h.get("lib").is_some_and(wanted))
}

fn is_libtorch(lib: &str) -> bool {
    let lower = lib.to_ascii_lowercase();
    let name = lower.trim_end_matches(".lib").trim_start_matches("lib");
    let name = name.split(".so").next().unwrap_or(name);
    matches!(
        name,
        "torch"
            | "torch_cpu"
            | "torch_python"
            | "torch_cuda"
            | "c10"
            | "c10_cuda"
            | "torch_xpu"
            | "torch_cuda_cu"
    )
}

pub fn cannot_find_ltorch(case: &Case) -> Option<Verdict> {
    let hit = library(case, is_libtorch).next()?;
    Some(Verdict::new(Kind::CannotFindLtorch, Confidence::High, hit).about_capture(hit, "lib"))
}

fn is_libcuda(lib: &str) -> bool {
    matches!(lib, "cuda" | "libcuda.so.1" | "libcuda.so" | "cuda.lib")
}

pub fn cannot_find_lcuda(case: &Case) -> Option<Verdict> {
    if let Some(hit) = library(case, is_libcuda).next() {
        let mut verdict =
            Verdict::new(Kind::CannotFindLcuda, Confidence::High, hit).about("libcuda.so");
        if let Some(other) = case.first(Message::LibraryIncompatible) {
            verdict = verdict.and(other).with_detail(other.get("lib"));
        }
        return Some(verdict);
    }
    // A helper that fails to build without the linker's words in the log: the
    // driver library is the most common reason, and not the only one.
    let silent = case.hits.iter().all(|h| !explains_failed_helper(h));
    let (line, command) = case
        .commands
        .iter()
        .find(|(_, c)| is_triton_helper(c) && c.has(FlagRole::CudaLibrary))?;
    let failed = silent && case.context.mentions(Actor::Triton);
    failed.then(|| {
        let flag = command
            .flags
            .iter()
            .find(|f| f.role == FlagRole::CudaLibrary);
        let text = format!(
            "{} … {}",
            command.program,
            flag.map_or("-lcuda", |f| f.text.as_str())
        );
        let hit = Hit {
            meaning: Message::LibraryMissing.into(),
            line: *line,
            text,
            captures: std::collections::BTreeMap::new(),
            frame: None,
            doubted: false,
        };
        Verdict::new(Kind::CannotFindLcuda, Confidence::Low, &hit).about("libcuda.so")
    })
}

/// Whether a line gives a reason why a helper did not build.
fn explains_failed_helper(hit: &Hit) -> bool {
    use crate::case::Meaning;
    match hit.meaning {
        Meaning::Message(_) => true,
        Meaning::Signal(s) => !matches!(
            s,
            Signal::CompileErrorRaised
                | Signal::SuppressErrorsAdvice
                | Signal::DisableCompileAdvice
                | Signal::DistutilsBuildFailed
                | Signal::SubprocessDied
        ),
    }
}

pub fn libcuda_assertion(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case.first(Signal::LibcudaAssertion) {
        return Some(
            Verdict::new(Kind::LibcudaAssertion, Confidence::High, hit).about("libcuda.so"),
        );
    }
    let loader = case
        .all(Message::SharedObjectMissing)
        .find(|h| h.get("lib").is_some_and(is_libcuda));
    if let Some(hit) = loader {
        let triton = case.context.mentions(Actor::Triton);
        let confidence = if triton {
            Confidence::High
        } else {
            Confidence::Medium
        };
        return Some(Verdict::new(Kind::LibcudaAssertion, confidence, hit).about("libcuda.so.1"));
    }
    let hit = case.first(Signal::NoActiveDriver)?;
    Some(Verdict::new(Kind::LibcudaAssertion, Confidence::Medium, hit).about("libcuda.so.1"))
}

fn is_libcudart(lib: &str) -> bool {
    let name = lib.trim_end_matches(".lib");
    name == "cudart" || name == "cudart_static" || lib.starts_with("libcudart.so")
}

pub fn cannot_find_lcudart(case: &Case) -> Option<Verdict> {
    if let Some(hit) = library(case, is_libcudart).next() {
        return Some(
            Verdict::new(Kind::CannotFindLcudart, Confidence::High, hit).about("libcudart.so"),
        );
    }
    let hit = case
        .all(Message::SharedObjectMissing)
        .find(|h| h.get("lib").is_some_and(is_libcudart))?;
    Some(Verdict::new(Kind::CannotFindLcudart, Confidence::Medium, hit).about_capture(hit, "lib"))
}

pub fn ptxas_too_old(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case.first(Signal::PtxasUnknownGpu) {
        let arch = hit
            .get("target")
            .or_else(|| hit.get("arch"))
            .unwrap_or("sm");
        return Some(Verdict::new(Kind::PtxasTooOld, Confidence::High, hit).about(arch));
    }
    if let Some(hit) = case.first(Signal::PtxVersionUnsupported) {
        let verdict = Verdict::new(Kind::PtxasTooOld, Confidence::High, hit);
        return Some(
            verdict
                .about_capture(hit, "wanted")
                .with_detail(hit.get("found")),
        );
    }
    let hit = case.first(Signal::UnrecognizedProcessor)?;
    Some(Verdict::new(Kind::PtxasTooOld, Confidence::Medium, hit).about_capture(hit, "arch"))
}

pub fn cuda_home_not_set(case: &Case) -> Option<Verdict> {
    // A build that goes on without CUDA only mentions it.
    let goes_on = |h: &&Hit| h.text.contains("warn(") || h.text.contains("building the CPU");
    let named = case.all(Signal::CudaHomeNotSet).find(|h| !goes_on(h));
    let missing = || {
        missing_programs(case, |p| matches!(p, "nvcc" | "CMAKE_CUDA_COMPILER"))
            .next()
            .map(|(hit, _)| hit)
    };
    let hit = named.or_else(missing)?;
    Some(Verdict::new(Kind::CudaHomeNotSet, Confidence::High, hit).about("CUDA_HOME"))
}

pub fn cuda_version_mismatch(case: &Case) -> Option<Verdict> {
    let hit = case.first(Signal::CudaMismatch)?;
    let verdict = Verdict::new(Kind::CudaVersionMismatch, Confidence::High, hit);
    // A raised tuple carries the versions behind the sentence.
    let wanted = ["wanted", "version", "target"]
        .iter()
        .find_map(|n| hit.get(n));
    let found = if hit.get("name").is_some() {
        "name"
    } else {
        "found"
    };
    Some(
        verdict
            .about_capture(hit, found)
            .with_detail(wanted.filter(|w| !w.is_empty())),
    )
}

pub fn nvcc_rejects_gcc(case: &Case) -> Option<Verdict> {
    let Some(hit) = case.first(Signal::NvccRejectsHost) else {
        return nvcc_chokes_on_host_headers(case);
    };
    let verdict = Verdict::new(Kind::NvccRejectsGcc, Confidence::High, hit);
    Some(
        verdict
            .about_capture(hit, "limit")
            .with_detail(hit.get("found")),
    )
}

/// nvcc hands the host compiler's own headers back changed, and that compiler,
/// newer than nvcc knows, no longer accepts them.
fn nvcc_chokes_on_host_headers(case: &Case) -> Option<Verdict> {
    let hit = case.first(Signal::NvccHostHeaders)?;
    let by_nvcc = case
        .commands
        .iter()
        .any(|(_, c)| base_name(&c.program).starts_with("nvcc"));
    let confidence = if by_nvcc {
        Confidence::High
    } else {
        Confidence::Medium
    };
    let newest_accepted = hit
        .get("found")
        .and_then(|version| version.parse::<u32>().ok())
        .map_or("10".to_owned(), |version| (version - 1).to_string());
    Some(Verdict::new(Kind::NvccRejectsGcc, confidence, hit).about(newest_accepted))
}

pub fn nvcc_too_old_for_gpu(case: &Case) -> Option<Verdict> {
    let hit = case
        .all(Signal::NvccUnknownGpu)
        .find(|h| !dropped_by_toolkits(h))?;
    Some(Verdict::new(Kind::NvccTooOldForGpu, Confidence::High, hit).about_capture(hit, "arch"))
}

/// GPUs older than this are not new to any nvcc in use: newer toolkits dropped
/// them one by one (Kepler with CUDA 11 and 12, Maxwell to Volta with 13).
const OLDEST_IN_ALL_TOOLKITS: u32 = 75;

/// Whether nvcc misses an architecture because it is too new for it.
pub fn dropped_by_toolkits(hit: &Hit) -> bool {
    let digits = |arch: &str| -> String { arch.chars().filter(char::is_ascii_digit).collect() };
    hit.get("arch")
        .and_then(|arch| digits(arch).parse::<u32>().ok())
        .is_some_and(|number| number < OLDEST_IN_ALL_TOOLKITS)
}

fn header(case: &Case, wanted: fn(&str) -> bool) -> Option<&Hit> {
    case.all(Message::HeaderMissing)
        .find(|h| h.get("header").is_some_and(wanted))
}

pub fn xpu_toolchain_missing(case: &Case) -> Option<Verdict> {
    let verdict = |hit| Verdict::new(Kind::XpuToolchainMissing, Confidence::High, hit);
    let wanted = |name: &str| base_name(name) == "ze_api.h" || name.contains("sycl");
    if let Some(hit) = header(case, wanted) {
        return Some(verdict(hit).about_capture(hit, "header"));
    }
    if let Some(hit) = case.first(Signal::OclocMissing) {
        return Some(verdict(hit).about("ocloc"));
    }
    let hit = library(case, |lib| matches!(lib, "ze_loader" | "sycl")).next()?;
    Some(verdict(hit).about_capture(hit, "lib"))
}

pub fn rocm_toolchain_missing(case: &Case) -> Option<Verdict> {
    let verdict = |hit| Verdict::new(Kind::RocmToolchainMissing, Confidence::High, hit);
    if let Some(hit) = header(case, |name| name.replace('\\', "/").starts_with("hip/")) {
        return Some(verdict(hit).about_capture(hit, "header"));
    }
    if let Some(hit) = case.first(Signal::RocmNotFound) {
        return Some(verdict(hit).about(hit.get("path").unwrap_or("ROCm").to_owned()));
    }
    if let Some((hit, _)) = missing_programs(case, |p| p == "hipcc").next() {
        return Some(verdict(hit).about("hipcc"));
    }
    let hip = |lib: &str| lib.trim_start_matches("lib").starts_with("amdhip64");
    let hit = library(case, hip).next().or_else(|| {
        case.all(Message::SharedObjectMissing)
            .find(|h| h.get("lib").is_some_and(hip))
    })?;
    Some(verdict(hit).about_capture(hit, "lib"))
}
