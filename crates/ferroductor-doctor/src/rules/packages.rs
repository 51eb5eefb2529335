//! The interpreter and its packages: versions that do not fit, packages that
//! are absent.
//!
//! What must hold: the version the log names is in the verdict; a missing
//! Triton is told from a Triton of the wrong version.

use super::{Confidence, Verdict};
use crate::case::{Case, Hit};
use crate::context::Actor;
use crate::kind::Kind;
use crate::signal::Signal;
use ferroductor_toolchain::Message;

pub fn python_version_unsupported(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case.first(Signal::DynamoUnsupportedPython) {
        let version = hit.get("version").or_else(|| hit.get("found"));
        let mut verdict = Verdict::new(Kind::PythonVersionUnsupported, Confidence::High, hit);
        verdict.subject = version.map(str::to_owned);
        return Some(verdict);
    }
    let hit = case.first(Signal::NoMatchingTorch)?;
    let python = case.context.python();
    let mut verdict = Verdict::new(Kind::PythonVersionUnsupported, Confidence::Low, hit);
    verdict.subject = python;
    Some(verdict)
}

pub fn triton_missing(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case.first(Signal::TritonMissing) {
        let certain = hit.text.contains("working triton") || hit.text.contains("TritonMissing");
        let torch = case.context.has_actor() || case.context.torch_dir.is_some();
        let confidence = if certain || torch {
            Confidence::High
        } else {
            Confidence::Medium
        };
        return Some(Verdict::new(Kind::TritonMissing, confidence, hit).about("triton"));
    }
    let hit = case.first(Signal::NoMatchingTriton)?;
    Some(Verdict::new(Kind::TritonMissing, Confidence::Medium, hit).about("triton"))
}

pub fn triton_torch_version_mismatch(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case.first(Signal::TritonPinConflict) {
        let verdict = Verdict::new(Kind::TritonTorchVersionMismatch, Confidence::High, hit);
        return Some(
            verdict
                .about_capture(hit, "wanted")
                .with_detail(hit.get("name")),
        );
    }
    // Only torch's own use of Triton tells that the two do not fit; a user's kernel
    // may simply name a function that never existed.
    let inside_torch = |h: &&Hit| {
        h.near_any(&[
            "_inductor",
            "InductorError",
            "BackendCompilerFailed",
            "triton_heuristics",
            "_higher_order_ops",
            "torch/utils/_triton",
            "torch\\utils\\_triton",
        ])
    };
    let subject = |h: &Hit| {
        ["name", "symbol", "path"]
            .iter()
            .find_map(|n| h.get(n))
            .map(str::to_owned)
    };
    if let Some(hit) = case.all(Signal::TritonImportMismatch).find(inside_torch) {
        let mut verdict = Verdict::new(Kind::TritonTorchVersionMismatch, Confidence::High, hit);
        verdict.subject = subject(hit);
        return Some(verdict);
    }
    let hit = case.first(Signal::TritonImportMismatch)?;
    let known = [
        "triton_key",
        "AttrsDescriptor",
        "triton.ops",
        "OutOfResources",
        "ASTSource",
        "CompiledKernel",
        "get_cuda_stream",
    ];
    let near_torch = case.context.mentions(Actor::InductorCpp);
    let confidence = if hit.near_any(&known) || near_torch {
        Confidence::High
    } else {
        Confidence::Medium
    };
    let mut verdict = Verdict::new(Kind::TritonTorchVersionMismatch, confidence, hit);
    verdict.subject = subject(hit);
    Some(verdict)
}

pub fn ninja_missing(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case.first(Signal::NinjaRequired) {
        return Some(Verdict::new(Kind::NinjaMissing, Confidence::High, hit).about("ninja"));
    }
    // Without ninja setuptools builds all the same; it is a cause only when nothing else is.
    let hit = case.first(Signal::NinjaFallback)?;
    let failed = case.has(Signal::DistutilsBuildFailed) || case.has(Signal::ExtensionBuildFailed);
    let other = case.has(Message::HeaderMissing)
        || case.has(Message::ProgramMissing)
        || case.has(Signal::UserCodeError)
        || case.has(Message::CompilerKilled)
        || case.has(Message::LibraryMissing)
        || case.has(Message::CannotExecuteTool);
    (failed && !other)
        .then(|| Verdict::new(Kind::NinjaMissing, Confidence::Low, hit).about("ninja"))
}

pub fn setuptools_missing(case: &Case) -> Option<Verdict> {
    let hit = case.first(Signal::SetuptoolsMissing)?;
    // A build in isolation installs its own setuptools; then the package's metadata is at fault.
    let isolated = hit.near_any(&["pip-build-env", "build-env-"]);
    let confidence = if isolated {
        Confidence::Medium
    } else {
        Confidence::High
    };
    Some(Verdict::new(Kind::SetuptoolsMissing, confidence, hit).about_capture(hit, "module"))
}

/// pip and uv build in an environment of its own, which lacks the torch that
/// the package's setup.py imports.
pub fn torch_missing_in_build(case: &Case) -> Option<Verdict> {
    let hit = case.first(Signal::TorchModuleMissing)?;
    case.has(Signal::IsolatedBuild)
        .then(|| Verdict::new(Kind::TorchMissingInBuild, Confidence::High, hit).about("torch"))
}

pub fn python_library_missing(case: &Case) -> Option<Verdict> {
    let hit = case.first(Signal::PythonImportLibraryMissing)?;
    Some(Verdict::new(Kind::PythonLibraryMissing, Confidence::High, hit).about_capture(hit, "lib"))
}
