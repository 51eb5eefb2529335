//! Loading and running what was built: runtime libraries, symbols, CPU
//! instructions, workers, locks.
//!
//! What must hold: a symbol counts as torch's only when its name or its object
//! says so; a dead worker is a cause only when nothing explains its death.

use super::{Confidence, Verdict, base_name};
use crate::case::{Case, Hit};
use crate::kind::Kind;
use crate::rules::place::beside_compiler;
use crate::signal::Signal;
use ferroductor_toolchain::Message;

pub fn libomp_loaded_twice(case: &Case) -> Option<Verdict> {
    let hit = case.first(Message::OpenMpLoadedTwice)?;
    let confidence = if hit.text.contains(".dylib") {
        Confidence::High
    } else {
        Confidence::Medium
    };
    let name = hit
        .get("lib")
        .or_else(|| hit.get("name"))
        .unwrap_or("libomp");
    Some(Verdict::new(Kind::LibompLoadedTwiceMacos, confidence, hit).about(name))
}

pub fn libgomp_missing(case: &Case) -> Option<Verdict> {
    let at_link = case
        .all(Message::LibraryMissing)
        .find(|h| matches!(h.get("lib"), Some("gomp" | "libgomp")));
    let at_load = || {
        case.all(Message::SharedObjectMissing)
            .find(|h| h.get("lib").is_some_and(|l| l.starts_with("libgomp")))
    };
    let symbols = || {
        case.all(Message::SymbolVersionMissing)
            .find(|h| h.get("version").is_some_and(|v| v.starts_with("GOMP")))
    };
    let hit = at_link.or_else(at_load).or_else(symbols)?;
    Some(Verdict::new(Kind::LibgompMissing, Confidence::High, hit).about("libgomp"))
}

fn wants(hit: &Hit, prefixes: &[&str]) -> bool {
    hit.get("version")
        .is_some_and(|v| prefixes.iter().any(|p| v.starts_with(p)))
}

/// Whether a version complaint is about torch, an extension, or a Python module at all.
fn about_python_module(case: &Case, hit: &Hit) -> bool {
    // Python itself complains, about an object that it loads.
    let raised = hit.text.contains("OSError: ") && hit.get("by").is_some();
    if raised && hit.near_any(&["-packages", "cached_ops", "torch_extensions", ".cache/"]) {
        return true;
    }
    let module = [
        "ImportError",
        "OSError",
        ".so",
        "python",
        "torch",
        "triton",
        "conda",
    ];
    hit.near_any(&module)
        && (case.context.has_actor()
            || case.context.torch_dir.is_some()
            || hit.text.contains("ImportError"))
}

pub fn glibcxx_not_found(case: &Case) -> Option<Verdict> {
    let hit = case
        .all(Message::SymbolVersionMissing)
        .find(|h| wants(h, &["GLIBCXX_", "CXXABI_"]))?;
    let confidence = if about_python_module(case, hit) {
        Confidence::High
    } else {
        Confidence::Low
    };
    let verdict = Verdict::new(Kind::GlibcxxNotFound, confidence, hit);
    Some(
        verdict
            .about_capture(hit, "version")
            .with_detail(hit.get("lib")),
    )
}

pub fn glibc_too_old(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case
        .all(Message::SymbolVersionMissing)
        .find(|h| wants(h, &["GLIBC_"]))
    {
        let by_package = hit.get("by").is_some_and(|by| by.contains("-packages"));
        let confidence = if about_python_module(case, hit) || hit.text.contains("ptxas") {
            Confidence::High
        } else if by_package {
            Confidence::Medium
        } else {
            Confidence::Low
        };
        let verdict = Verdict::new(Kind::GlibcTooOld, confidence, hit);
        return Some(
            verdict
                .about_capture(hit, "version")
                .with_detail(hit.get("by")),
        );
    }
    // At link time: libtorch wants a newer C library than the system's linker finds.
    let hit = glibc_references(case).find(|h| !names_conda_linker(case, h))?;
    let version = hit
        .get("symbol")
        .and_then(|s| s.split('@').next_back())
        .unwrap_or("GLIBC");
    Some(Verdict::new(Kind::GlibcTooOld, Confidence::Medium, hit).about(version.to_owned()))
}

fn glibc_references(case: &Case) -> impl Iterator<Item = &Hit> {
    case.all(Message::UndefinedReference)
        .filter(|h| h.get("symbol").is_some_and(|s| s.contains("@GLIBC_")))
}

fn names_conda_linker(case: &Case, hit: &Hit) -> bool {
    let conda = |text: &str| {
        text.contains("conda")
            || text.contains("compiler_compat")
            || text.contains("mamba")
            || text.contains("miniforge")
    };
    conda(&hit.text)
        || case
            .command_at(hit.line)
            .is_some_and(|(_, c)| conda(&c.program))
        || case
            .hits
            .iter()
            .any(|h| h.meaning == hit.meaning && conda(&h.text))
}

pub fn conda_compiler_clash(case: &Case) -> Option<Verdict> {
    if let Some(hit) = glibc_references(case).find(|h| names_conda_linker(case, h)) {
        return Some(
            Verdict::new(Kind::CondaCompilerClash, Confidence::High, hit)
                .about_capture(hit, "symbol"),
        );
    }
    if let Some(hit) = case.first(Message::LibraryOutsideSysroot) {
        let confidence = if names_conda_linker(case, hit) {
            Confidence::High
        } else {
            Confidence::Medium
        };
        return Some(
            Verdict::new(Kind::CondaCompilerClash, confidence, hit).about_capture(hit, "lib"),
        );
    }
    // The environment's linker looks only inside the environment.
    let host = [
        "cuda",
        "libcuda.so.1",
        "pthread",
        "c",
        "m",
        "gomp",
        "rt",
        "dl",
    ];
    let conda_ld = |h: &&Hit| {
        let linker = h.text.contains("conda-linux-gnu/bin/ld")
            || h.text.contains("compiler_compat/ld")
            || h.text.contains("conda_cos");
        linker && h.get("lib").is_some_and(|l| host.contains(&l))
    };
    if let Some(hit) = case.all(Message::LibraryMissing).find(conda_ld) {
        return Some(
            Verdict::new(Kind::CondaCompilerClash, Confidence::High, hit).about_capture(hit, "lib"),
        );
    }
    let glibcxx = |h: &&Hit| {
        h.get("symbol").is_some_and(|s| s.contains("@GLIBCXX_")) && names_conda_linker(case, h)
    };
    let hit = case.all(Message::UndefinedReference).find(glibcxx)?;
    Some(
        Verdict::new(Kind::CondaCompilerClash, Confidence::Medium, hit)
            .about_capture(hit, "symbol"),
    )
}

/// Mangled and plain names that libtorch exports.
fn is_torch_symbol(symbol: &str) -> bool {
    const PARTS: &[&str] = &[
        "3c10",
        "2at",
        "5torch",
        "4c10d",
        "6caffe2",
        "aoti_torch",
        "THPVariable",
        "THPUtils",
        "THCState",
        "aten",
        "pybind11",
        "torch_",
    ];
    let mangled = symbol.trim_start_matches('_').starts_with('Z');
    let known = PARTS.iter().any(|p| symbol.contains(p));
    (mangled && known)
        || symbol.starts_with("THP")
        || symbol.starts_with("aoti_")
        || symbol.starts_with("torch_")
}

pub fn undefined_symbol_abi(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case
        .all(Message::UndefinedSymbol)
        .find(|h| h.get("symbol").is_some_and(is_torch_symbol))
    {
        return Some(
            Verdict::new(Kind::UndefinedSymbolAbi, Confidence::High, hit)
                .about_capture(hit, "symbol")
                .with_detail(hit.get("object")),
        );
    }
    if let Some(hit) = case.first(Signal::DllProcedureMissing) {
        return dll_procedure_missing(case, hit);
    }
    // Another symbol, in an object that was built against torch.
    let hit = case.all(Message::UndefinedSymbol).find(|h| {
        let symbol = h.get("symbol").unwrap_or_default();
        let vendor = [
            "nvJitLink",
            "cublas",
            "cudnn",
            "cusparse",
            "ncclC",
            "iJIT",
            "cuda",
        ]
        .iter()
        .any(|v| symbol.contains(v));
        let built = h.near_any(&[
            "torch_extensions",
            "torchinductor",
            "flash_attn",
            "torchvision/_C",
            "torchaudio/lib",
        ]);
        built && !vendor
    })?;
    // A function that the extension's own sources declare and never define.
    let own = hit.near_any(&["torch_extensions"]);
    let confidence = if own {
        Confidence::Low
    } else {
        Confidence::Medium
    };
    Some(
        Verdict::new(Kind::UndefinedSymbolAbi, confidence, hit)
            .about_capture(hit, "symbol")
            .with_detail(hit.get("object")),
    )
}

/// Windows' way to say that a library lacks a symbol; it does not name it.
fn dll_procedure_missing(case: &Case, hit: &Hit) -> Option<Verdict> {
    let module = hit.get("module").or(hit.get("name"));
    let of_torch = case.context.torch_version.is_some()
        || case.context.torch_dir.is_some()
        || case.context.has_actor()
        || hit.near_any(&["torch"]);
    let verdict = Verdict::new(Kind::UndefinedSymbolAbi, Confidence::Medium, hit);
    of_torch.then(|| verdict.about("…").with_detail(module))
}

pub fn illegal_instruction(case: &Case) -> Option<Verdict> {
    // A GPU has illegal instructions of its own.
    let hit = case
        .all(Message::IllegalInstruction)
        .find(|h| !h.text.contains("CUDA error"))?;
    let compiled = case.context.has_actor() || hit.near_any(&["aoti", "AOTI", "inductor", "torch"]);
    let confidence = if compiled {
        Confidence::High
    } else {
        Confidence::Low
    };
    Some(Verdict::new(Kind::IllegalInstruction, confidence, hit))
}

pub fn compile_subprocess_died(case: &Case) -> Option<Verdict> {
    let hit = case.all(Signal::SubprocessDied).find(|h| {
        h.text.contains("compilation subprocess")
            || h.text.contains("SubprocException")
            || beside_compiler(case, h)
    })?;
    // A wrapped exception says its cause below; that cause is judged by its own rule.
    let wrapper = hit.text.contains("SubprocException");
    let confidence = if wrapper {
        Confidence::Medium
    } else {
        Confidence::High
    };
    Some(Verdict::new(Kind::CompileSubprocessDied, confidence, hit))
}

pub fn stale_build_lock(case: &Case) -> Option<Verdict> {
    let hit = case.first(Signal::FileBaton)?;
    let folder = case
        .first(Signal::BuildingExtension)
        .and_then(|h| h.get("path"))
        .map(str::to_owned);
    let mut verdict = Verdict::new(Kind::StaleBuildLockHang, Confidence::High, hit);
    verdict.subject = hit.get("path").map(str::to_owned).or(folder);
    verdict.detail = Some(base_name("lock").to_owned());
    Some(verdict)
}
