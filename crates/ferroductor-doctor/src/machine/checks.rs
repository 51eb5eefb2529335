//! The checks: from the inventory to findings.
//!
//! What must hold: each check is a function of the inventory and the system,
//! independent of the others, so that all problems are found at once; a
//! healthy machine gives none.

use super::folders::{Folder, LEAST_FREE, WriteError, is_network};
use super::inventory::Inventory;
use super::python::Python;
use crate::case::Case;
use crate::facts;
use crate::kind::Kind;
use crate::rules::{self, Confidence};
use ferroductor_toolchain::{Attempt, AttemptResult, CxxSearch, Platform, System};
use std::path::Path;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineFinding {
    pub kind: Kind,
    pub confidence: Confidence,
    pub subject: String,
    pub evidence: Vec<String>,
}

fn finding(kind: Kind, subject: impl Into<String>, evidence: impl Into<String>) -> MachineFinding {
    MachineFinding {
        kind,
        confidence: Confidence::High,
        subject: subject.into(),
        evidence: vec![evidence.into()],
    }
}

type Check = fn(&dyn System, &Inventory) -> Vec<MachineFinding>;

/// Every check.
const CHECKS: &[Check] = &[
    check_user,
    check_folders,
    check_memory,
    check_spaces,
    check_cxx,
    check_cc,
    check_openmp,
    check_headers,
    check_ninja,
    check_torch_python,
    check_triton,
    check_setuptools,
    check_programs,
    check_driver,
    check_locks,
];

/// Runs every check.
pub fn run_all(system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    let mut found: Vec<MachineFinding> = Vec::new();
    for check in CHECKS {
        for new in check(system, inventory) {
            if !found.iter().any(|f| f.kind == new.kind) {
                found.push(new);
            }
        }
    }
    found
}

fn check_user(system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    let user = &inventory.user;
    let named = ["LOGNAME", "USER", "LNAME", "USERNAME"]
        .iter()
        .any(|n| system.env(n).is_some_and(|v| !v.is_empty()));
    if user.has_passwd_entry || named {
        return Vec::new();
    }
    let uid = user.uid.map(|u| u.to_string()).unwrap_or_default();
    let evidence = format!("getpwuid({uid}): no entry; LOGNAME, USER: not set");
    let mut found = finding(Kind::UidWithoutPasswdEntry, uid, evidence);
    let torch = inventory.python.as_ref().and_then(|p| p.torch.as_deref());
    // Since 2.13 Inductor names the folder by the number; other programs still ask for the name.
    if torch
        .and_then(facts::torch_minor)
        .is_some_and(|t| t >= (2, 13))
    {
        found.confidence = Confidence::Medium;
    }
    vec![found]
}

fn check_folders(_system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    inventory
        .folders
        .iter()
        .filter_map(folder_problem)
        .collect()
}

fn folder_problem(folder: &Folder) -> Option<MachineFinding> {
    let describe = |what: &str| format!("{} ({}): {what}", folder.path, folder.purpose);
    if folder.purpose == "shared-memory" {
        return shared_memory_problem(folder);
    }
    let kind_and_text = if folder.read_only || folder.write_error == Some(WriteError::ReadOnly) {
        (Kind::ReadOnlyFilesystem, describe("read-only file system"))
    } else if folder.write_error == Some(WriteError::PermissionDenied) {
        (Kind::CachePermissionDenied, describe("permission denied"))
    } else if folder.write_error == Some(WriteError::NoSpace)
        || folder.free_bytes.is_some_and(|b| b < LEAST_FREE)
    {
        let free = folder.free_bytes.unwrap_or(0) >> 10;
        (Kind::NoSpaceLeft, describe(&format!("{free} KiB free")))
    } else if folder.no_exec {
        (Kind::NoexecTmp, describe("mounted noexec"))
    } else if let Some(foreign) = &folder.foreign {
        let text = format!("{foreign} belongs to another user and is closed to this one");
        (Kind::CachePermissionDenied, describe(&text))
    } else if folder.purpose != "temporary" && folder.file_system.as_deref().is_some_and(is_network)
    {
        (
            Kind::NetworkFilesystemCache,
            describe(folder.file_system.as_deref().unwrap_or_default()),
        )
    } else {
        return None;
    };
    let mut found = finding(kind_and_text.0, folder.path.clone(), kind_and_text.1);
    if found.kind == Kind::NetworkFilesystemCache {
        found.confidence = Confidence::Medium;
    }
    Some(found)
}

/// Less than this does not hold a semaphore and the OpenMP runtimes' registrations.
const LEAST_SHARED: u64 = 1 << 20;

/// Nothing is compiled there, so that most of what spoils a cache does not matter.
fn shared_memory_problem(folder: &Folder) -> Option<MachineFinding> {
    let full = folder.free_bytes.is_some_and(|b| b < LEAST_SHARED)
        || folder.write_error == Some(WriteError::NoSpace);
    let kind = match folder.write_error {
        Some(WriteError::ReadOnly) => Kind::ReadOnlyFilesystem,
        Some(WriteError::PermissionDenied) => Kind::CachePermissionDenied,
        _ if full => Kind::NoSpaceLeft,
        _ => return None,
    };
    let free = folder.free_bytes.unwrap_or(0) >> 10;
    let mut found = finding(
        kind,
        folder.path.clone(),
        format!("{} (semaphores, OpenMP): {free} KiB free", folder.path),
    );
    found.confidence = Confidence::Medium;
    Some(found)
}

/// Only what happened is a finding; a limit that is merely low is told apart (see `problems`).
fn check_memory(_system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    let Some(count) = inventory.limits.killed else {
        return Vec::new();
    };
    let evidence = format!("control group: {count} processes were killed for memory");
    let mut found = finding(Kind::CompilerKilledOom, "", evidence);
    found.confidence = Confidence::Medium;
    vec![found]
}

fn check_spaces(_system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    let cache = inventory
        .folders
        .iter()
        .filter(|f| f.purpose == "inductor" || f.purpose == "torch-extensions")
        .map(|f| f.path.clone());
    let python = inventory.python.iter();
    let torch = python
        .clone()
        .filter_map(|p| p.torch_dir.clone())
        .chain(python.map(|p| p.include.clone()));
    let spaced = cache.chain(torch).find(|p| p.contains(' '));
    spaced
        .map(|p| finding(Kind::PathWithSpaces, p.clone(), p))
        .into_iter()
        .collect()
}

fn check_cxx(system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    match &inventory.cxx_search {
        Some(search) => {
            let mut found = compiler_findings(system, search, Kind::NoCxxCompiler, "g++");
            let script = inventory.system.vcvars.as_ref();
            for missing in found.iter_mut().filter(|f| f.kind == Kind::MsvcClNotFound) {
                missing
                    .evidence
                    .extend(script.map(|s| format!("{s}: installed, not run in this console")));
            }
            found
        }
        None => vec![crashed_probe(Kind::NoCxxCompiler, "c++ compiler")],
    }
}

fn check_cc(system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    // A C compiler matters to Triton; with a working C++ compiler of the same
    // family its absence is a matter of its own.
    let triton = inventory
        .python
        .as_ref()
        .is_some_and(|p| p.triton.is_some());
    let cxx_works = inventory
        .cxx_search
        .as_ref()
        .is_some_and(first_choice_works);
    match &inventory.cc_search {
        Some(search) if triton && cxx_works => {
            compiler_findings(system, search, Kind::NoCCompilerTriton, "gcc")
        }
        _ => Vec::new(),
    }
}

fn crashed_probe(kind: Kind, name: &str) -> MachineFinding {
    let mut found = finding(kind, name, format!("the probe of the {name} crashed"));
    found.confidence = Confidence::Medium;
    found
}

/// Whether the compiler that works is the one torch will run: the first name,
/// since torch does not go on to other names as the search does.
pub fn first_choice_works(search: &CxxSearch) -> bool {
    search
        .attempts
        .first()
        .is_some_and(|a| a.result == AttemptResult::Works)
}

/// Why the compiler that torch runs does not work: what it printed decides.
fn compiler_findings(
    system: &dyn System,
    search: &CxxSearch,
    kind: Kind,
    usual: &str,
) -> Vec<MachineFinding> {
    let other_is_good_enough = kind == Kind::NoCCompilerTriton && search.cxx.is_some();
    if first_choice_works(search) || other_is_good_enough {
        return Vec::new();
    }
    let mut evidence: Vec<String> = Vec::new();
    let mut explained: Vec<MachineFinding> = Vec::new();
    for attempt in search.attempts.iter().take(8) {
        let text = match &attempt.result {
            AttemptResult::Works => "works, but is used only when CXX names it".to_owned(),
            AttemptResult::NotFound => "not found".to_owned(),
            AttemptResult::TimedOut => "no answer in time".to_owned(),
            AttemptResult::NoVersion(text) | AttemptResult::CannotBuild(text) => text.clone(),
        };
        // Nowhere to write is the folder's problem and has a finding of its own.
        if text.starts_with("no temporary folder") || text.starts_with("cannot write") {
            return Vec::new();
        }
        let path = attempt
            .path
            .as_ref()
            .map(|p| p.to_string_lossy().into_owned());
        evidence.push(format!(
            "{}: {}",
            path.as_deref().unwrap_or(&attempt.name),
            text.lines().next().unwrap_or_default()
        ));
        if explained.is_empty() {
            explained = explain_output(&text);
        }
    }
    if !explained.is_empty() {
        return explained;
    }
    let windows = system.platform() == Platform::Windows;
    let kind = if windows { Kind::MsvcClNotFound } else { kind };
    // A program that is there and does not work is named by its place.
    let subject = match search.attempts.first() {
        Some(Attempt {
            path: Some(path), ..
        }) => path.to_string_lossy().into_owned(),
        Some(attempt) => attempt.name.clone(),
        None => usual.to_owned(),
    };
    // Who does not answer in time may only be slow.
    let slow = search
        .attempts
        .first()
        .is_some_and(|a| a.result == AttemptResult::TimedOut);
    let confidence = if slow {
        Confidence::Medium
    } else {
        Confidence::High
    };
    vec![MachineFinding {
        kind,
        confidence,
        subject,
        evidence,
    }]
}

/// A probe is a compilation in Inductor's place; the rules are careful with
/// compilers' messages that may come from anything.
pub const STANDS_FOR: &str =
    "torch._inductor.exc.InductorError: CppCompileError: C++ compile error";

/// The rules for logs, applied to what a compiler printed.
fn explain_output(text: &str) -> Vec<MachineFinding> {
    let log = format!("{STANDS_FOR}\n{text}");
    let Ok(case) = Case::read(log.as_bytes()) else {
        return Vec::new();
    };
    let verdicts = rules::judge_all(&case).into_iter();
    verdicts
        .filter(|v| v.confidence > Confidence::Low)
        .map(|v| MachineFinding {
            kind: v.kind,
            // A probe of our own leaves no doubt about what was compiled and why.
            confidence: Confidence::High,
            subject: v.subject.unwrap_or_default(),
            evidence: v.evidence.iter().map(|h| h.text.clone()).collect(),
        })
        .collect()
}

fn check_openmp(_system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    let search = inventory
        .cxx_search
        .as_ref()
        .filter(|s| first_choice_works(s));
    let Some(cxx) = search.and_then(|s| s.cxx.as_ref()) else {
        return Vec::new();
    };
    if !cxx.openmp_flags.is_empty() {
        return Vec::new();
    }
    let apple = cxx.family == ferroductor_toolchain::CompilerFamily::AppleClang;
    let kind = if apple {
        Kind::OmpMacos
    } else {
        Kind::OmpHLinux
    };
    let refusal = &cxx.openmp_refusal;
    // Which of the two is missing, the header or the library, is what the compiler said.
    let explained = explain_output(refusal).into_iter().find(|f| {
        matches!(
            f.kind,
            Kind::OmpHLinux | Kind::OmpMacos | Kind::LibgompMissing
        )
    });
    if let Some(found) = explained.filter(|_| !apple) {
        return vec![found];
    }
    let said = refusal
        .lines()
        .find(|l| l.contains("rror"))
        .unwrap_or("a program with OpenMP does not build");
    let evidence = format!("{}: {said}", cxx.program.display());
    vec![finding(kind, "omp.h", evidence)]
}

fn check_headers(system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    let Some(python) = &inventory.python else {
        return Vec::new();
    };
    let path = python.header();
    match &inventory.headers {
        None if headers_by_variable(system, python) => Vec::new(),
        None => vec![finding(
            Kind::PythonHInductorCpp,
            "Python.h",
            format!("{}: no such file", path.display()),
        )],
        Some(version)
            if version != "?" && !version.starts_with(&format!("{}.", python.minor_version())) =>
        {
            let evidence = format!(
                "{}: headers of {version}, interpreter {}",
                path.display(),
                python.version
            );
            vec![finding(Kind::PythonHInductorCpp, "Python.h", evidence)]
        }
        Some(_) => Vec::new(),
    }
}

/// Whether CPATH leads to headers of the right version.
fn headers_by_variable(system: &dyn System, python: &Python) -> bool {
    let variables = ["CPATH", "CPLUS_INCLUDE_PATH"]
        .iter()
        .filter_map(|n| system.env(n));
    let wanted = format!("{}.", python.minor_version());
    variables
        .collect::<Vec<_>>()
        .iter()
        .flat_map(|v| v.split(':'))
        .any(|dir| {
            super::inventory::header_version(system, dir)
                .is_some_and(|v| v == "?" || v.starts_with(&wanted))
        })
}

/// Only builds of C++ extensions need ninja: its absence is a finding where
/// such builds were made or it was installed for them.
fn check_ninja(system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    let Some(python) = inventory.python.as_ref().filter(|p| p.torch.is_some()) else {
        return Vec::new();
    };
    if system.which("ninja").is_some() {
        return Vec::new();
    }
    let extensions = inventory
        .folders
        .iter()
        .find(|f| f.purpose == "torch-extensions");
    let built = extensions.and_then(|f| {
        system
            .list(Path::new(&f.path))
            .ok()
            .filter(|l| !l.is_empty())
    });
    let evidence = if let Some(version) = &python.ninja {
        format!(
            "ninja {version} is installed for {}, but no ninja is on PATH",
            python.executable
        )
    } else if built.is_some() || inventory.cuda.nvcc.is_some() {
        "ninja: not found on PATH; this machine builds C++ extensions".to_owned()
    } else {
        return Vec::new();
    };
    vec![finding(Kind::NinjaMissing, "ninja", evidence)]
}

fn check_torch_python(_system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    let Some(python) = &inventory.python else {
        return Vec::new();
    };
    let Some(torch) = &python.torch else {
        return Vec::new();
    };
    let minor = facts::python_minor(&python.version);
    let support = facts::torch_support(torch);
    match (support, minor) {
        (Some(support), Some(minor)) if minor > support.compile_up_to => {
            let evidence = format!(
                "torch {torch}: torch.compile up to Python 3.{}; this is {}",
                support.compile_up_to, python.version
            );
            vec![finding(
                Kind::PythonVersionUnsupported,
                python.minor_version(),
                evidence,
            )]
        }
        _ => Vec::new(),
    }
}

fn check_triton(system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    let Some(python) = &inventory.python else {
        return Vec::new();
    };
    let Some(torch) = &python.torch else {
        return Vec::new();
    };
    let for_gpu = torch.contains("+cu") || torch.contains("+rocm") || torch.contains("+xpu");
    let wanted = python.torch_wants.iter().find(|r| r.starts_with("triton"));
    match (&python.triton, wanted) {
        (None, _) if for_gpu && system.platform() != Platform::MacOs => {
            vec![finding(
                Kind::TritonMissing,
                "triton",
                format!("torch {torch}; triton: not installed"),
            )]
        }
        (Some(have), Some(wanted)) if !pin_allows(wanted, have) => {
            let evidence = format!("torch {torch} requires {wanted}; installed: triton {have}");
            vec![finding(
                Kind::TritonTorchVersionMismatch,
                wanted.split(';').next().unwrap_or(wanted).trim(),
                evidence,
            )]
        }
        _ => Vec::new(),
    }
}

/// Whether `triton==3.2.0` or `triton~=3.9.0` allows a version; other forms do.
fn pin_allows(requirement: &str, version: &str) -> bool {
    let requirement = requirement
        .split(';')
        .next()
        .unwrap_or(requirement)
        .replace(' ', "");
    let have: Vec<&str> = version
        .split('+')
        .next()
        .unwrap_or(version)
        .split('.')
        .collect();
    if let Some((_, pinned)) = requirement.split_once("==") {
        let pinned = pinned
            .trim_end_matches(".*")
            .split('+')
            .next()
            .unwrap_or(pinned)
            .to_owned();
        return pinned.split('.').zip(&have).all(|(a, b)| a == *b);
    }
    if let Some((_, least)) = requirement.split_once("~=") {
        let parts: Vec<&str> = least.split('.').collect();
        return parts
            .iter()
            .take(parts.len().saturating_sub(1))
            .zip(&have)
            .all(|(a, b)| a == b);
    }
    true
}

fn check_setuptools(_system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    let Some(python) = &inventory.python else {
        return Vec::new();
    };
    let wanted = python.torch_wants.iter().any(|r| {
        let here = !r.contains("python_version >=")
            || facts::python_minor(&python.version).is_some_and(|m| m >= 12);
        r.starts_with("setuptools") && here
    });
    if python.setuptools.is_some() || !(wanted || python.triton.is_some()) {
        return Vec::new();
    }
    vec![finding(
        Kind::SetuptoolsMissing,
        "setuptools",
        format!("{}: setuptools is not installed", python.executable),
    )]
}

fn check_programs(_system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    let missing = |name: &str| {
        inventory
            .tools
            .iter()
            .any(|t| t.name == name && t.path.is_none())
    };
    let python = inventory.python.as_ref();
    let torch = python
        .and_then(|p| p.torch.as_deref())
        .and_then(facts::torch_minor);
    let mut found = Vec::new();
    // Inductor hashes precompiled headers with the openssl program since 2.8.
    if missing("openssl")
        && torch.is_some_and(|t| t >= (2, 8))
        && inventory.system.family.is_none_or(|f| f.is_linux())
    {
        let mut openssl = finding(
            Kind::OpensslProgramMissing,
            "openssl",
            "openssl: not found on PATH",
        );
        openssl.confidence = Confidence::Medium;
        found.push(openssl);
    }
    let driver = inventory.cuda.driver.is_some();
    if missing("ldconfig") && driver && python.is_some_and(|p| p.triton.is_some()) {
        found.push(finding(
            Kind::LdconfigMissing,
            "/sbin/ldconfig",
            "/sbin/ldconfig: not found",
        ));
    }
    found
}

fn check_driver(_system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    let triton = inventory
        .python
        .as_ref()
        .is_some_and(|p| p.triton.is_some());
    let has_ldconfig = inventory
        .tools
        .iter()
        .any(|t| t.name == "ldconfig" && t.path.is_some());
    if inventory.cuda.driver.is_some() && inventory.cuda.libcuda.is_none() && triton && has_ldconfig
    {
        return vec![finding(
            Kind::LibcudaAssertion,
            "libcuda.so.1",
            "ldconfig -p: no libcuda.so.1, though the driver is loaded",
        )];
    }
    Vec::new()
}

fn check_locks(system: &dyn System, inventory: &Inventory) -> Vec<MachineFinding> {
    let Some(root) = inventory
        .folders
        .iter()
        .find(|f| f.purpose == "torch-extensions")
    else {
        return Vec::new();
    };
    let children = |path: &Path| system.list(path).unwrap_or_default();
    let mut folders = children(Path::new(&root.path));
    let inner: Vec<_> = folders.iter().flat_map(|f| children(f)).collect();
    folders.extend(inner);
    let lock = folders
        .iter()
        .map(|f| f.join("lock"))
        .find(|l| system.exists(l) && !system.is_dir(l));
    lock.map(|path| {
        let path = path.to_string_lossy().into_owned();
        // A build may be running this moment; only the user knows.
        MachineFinding {
            kind: Kind::StaleBuildLockHang,
            confidence: Confidence::Medium,
            subject: path.clone(),
            evidence: vec![path],
        }
    })
    .into_iter()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_compared() {
        assert!(pin_allows(
            "triton==3.2.0; platform_system == \"Linux\"",
            "3.2.0"
        ));
        assert!(!pin_allows("triton==3.2.0", "3.4.0"));
        assert!(pin_allows("triton~=3.9.0", "3.9.4"));
        assert!(!pin_allows("triton~=3.9.0", "3.10.0"));
        assert!(pin_allows("triton>=3", "3.1"));
    }
}
