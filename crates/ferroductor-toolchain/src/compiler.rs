//! The search for a C++ compiler that works, with the reason for every refusal.
//!
//! What must hold: a compiler counts as found only after it compiled and
//! linked a shared object; each candidate that failed keeps what it printed,
//! because "no compiler found" without reasons helps nobody.

use crate::system::{Command, Outcome, Platform, Run, System};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The family a compiler belongs to, as its version text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompilerFamily {
    Gcc,
    Clang,
    AppleClang,
    Msvc,
    Unknown,
}

/// A C++ compiler that was tried and works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cxx {
    /// Words before the compiler, such as `ccache`.
    pub launcher: Vec<String>,
    pub program: PathBuf,
    pub family: CompilerFamily,
    /// Major version, where the compiler says one.
    pub major: Option<u32>,
    /// The first line of the version text.
    pub version_line: String,
    /// Flags that make an optimised shared object, all of them tried.
    pub flags: Vec<String>,
    /// Flags for OpenMP, tried; empty when OpenMP does not work.
    pub openmp_flags: Vec<String>,
    /// What the compiler printed when OpenMP did not work.
    pub openmp_refusal: String,
}

impl Cxx {
    /// A command that runs this compiler with its launcher and flags.
    pub fn command(&self) -> Command {
        let mut words = self.launcher.clone();
        words.push(self.program.to_string_lossy().into_owned());
        let program = words.remove(0);
        Command::new(program).args(words).args(self.flags.clone())
    }
}

/// Why a candidate was taken or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptResult {
    Works,
    NotFound,
    /// It could not tell its version.
    NoVersion(String),
    /// It could not compile and link a shared object.
    CannotBuild(String),
    TimedOut,
}

/// One candidate and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// As named by the environment or by the list of usual names.
    pub name: String,
    pub path: Option<PathBuf>,
    pub version_line: String,
    pub result: AttemptResult,
}

/// The outcome of a search: the compiler, if any, and every candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CxxSearch {
    pub cxx: Option<Cxx>,
    pub attempts: Vec<Attempt>,
}

const CXX_NAMES: &[&str] = &[
    "g++",
    "clang++",
    "c++",
    "g++-15",
    "g++-14",
    "g++-13",
    "g++-12",
    "g++-11",
    "g++-10",
    "clang++-20",
    "clang++-19",
    "clang++-18",
    "clang++-17",
    "clang++-16",
    "clang++-15",
    "clang++-14",
];
const CC_NAMES: &[&str] = &["gcc", "clang", "cc"];
const MSVC_NAMES: &[&str] = &["cl", "clang-cl"];

/// A program that uses the language, the standard library and the linker.
const PROBE_SOURCE: &str = "#include <algorithm>\n#include <vector>\nextern \"C\" int ferroductor_probe(int n) {\n  std::vector<int> v(8, n);\n  return *std::max_element(v.begin(), v.end());\n}\n";
const PROBE_SOURCE_C: &str =
    "#include <stdlib.h>\nint ferroductor_probe(int n) { return abs(n); }\n";
const OPENMP_SOURCE: &str = "#include <omp.h>\nextern \"C\" int ferroductor_openmp_probe(int n) {\n  int s = 0;\n#pragma omp parallel for reduction(+ : s)\n  for (int i = 0; i < n; i++) s += omp_get_num_threads() > 0;\n  return s;\n}\n";

/// Finds a C++ compiler that works, `CXX` first, and the flags it accepts.
pub fn find_cxx(system: &dyn System) -> CxxSearch {
    search(system, candidates(system, "CXX", CXX_NAMES), true)
}

/// The same for C, for whoever needs only that (Triton's helpers).
pub fn find_cc(system: &dyn System) -> CxxSearch {
    search(system, candidates(system, "CC", CC_NAMES), false)
}

fn candidates(system: &dyn System, variable: &str, names: &[&str]) -> Vec<String> {
    // A compiler named by the environment is what every other tool will use:
    // falling back behind the user's back would hide its failure.
    if let Some(named) = system.env(variable).filter(|v| !v.trim().is_empty()) {
        return vec![named];
    }
    let names = if system.platform() == Platform::Windows {
        MSVC_NAMES
    } else {
        names
    };
    names.iter().map(|n| (*n).to_owned()).collect()
}

fn search(system: &dyn System, names: Vec<String>, cpp: bool) -> CxxSearch {
    let mut attempts = Vec::new();
    for name in names {
        let (attempt, cxx) = try_candidate(system, &name, cpp);
        attempts.push(attempt);
        if cxx.is_some() {
            return CxxSearch { cxx, attempts };
        }
    }
    CxxSearch {
        cxx: None,
        attempts,
    }
}

fn try_candidate(system: &dyn System, name: &str, cpp: bool) -> (Attempt, Option<Cxx>) {
    let mut attempt = Attempt {
        name: name.to_owned(),
        path: None,
        version_line: String::new(),
        result: AttemptResult::NotFound,
    };
    let mut launcher: Vec<String> = name.split_whitespace().map(str::to_owned).collect();
    let Some(program) = launcher.pop() else {
        return (attempt, None);
    };
    // A launcher that is missing makes the whole command fail, so it is looked up too.
    let launcher_missing = launcher.first().is_some_and(|l| system.which(l).is_none());
    let Some(path) = system.which(&program).filter(|_| !launcher_missing) else {
        return (attempt, None);
    };
    attempt.path = Some(path.clone());
    let version = version_of(system, &path);
    let text = version.combined();
    attempt.version_line = text.lines().next().unwrap_or_default().to_owned();
    if version.outcome == Outcome::TimedOut {
        attempt.result = AttemptResult::TimedOut;
        return (attempt, None);
    }
    if !version.succeeded() {
        attempt.result = AttemptResult::NoVersion(clip(&version.report()));
        return (attempt, None);
    }
    let mut cxx = Cxx {
        launcher,
        program: path,
        family: family_of(&text),
        major: major_of(&text),
        version_line: attempt.version_line.clone(),
        flags: Vec::new(),
        openmp_flags: Vec::new(),
        openmp_refusal: String::new(),
    };
    match choose_flags(system, &mut cxx, cpp) {
        Ok(()) => {
            attempt.result = AttemptResult::Works;
            (attempt, Some(cxx))
        }
        Err(result) => {
            attempt.result = result;
            (attempt, None)
        }
    }
}

fn version_of(system: &dyn System, path: &Path) -> Run {
    let program = path.to_string_lossy().into_owned();
    let msvc = program.to_ascii_lowercase().ends_with("cl.exe") || program.ends_with("/cl");
    let command = Command::new(program)
        .time_limit(system.patience(Duration::from_secs(5)))
        .env("LC_ALL", "C");
    if msvc {
        // `cl` without arguments prints its banner and exits with 0.
        system.run(&command)
    } else {
        system.run(&command.arg("--version"))
    }
}

fn family_of(version: &str) -> CompilerFamily {
    let lower = version.to_ascii_lowercase();
    if lower.contains("apple clang") || lower.contains("apple llvm") {
        CompilerFamily::AppleClang
    } else if lower.contains("clang") {
        CompilerFamily::Clang
    } else if lower.contains("microsoft") {
        CompilerFamily::Msvc
    } else if lower.contains("gcc")
        || lower.contains("g++")
        || lower.contains("free software foundation")
    {
        CompilerFamily::Gcc
    } else {
        CompilerFamily::Unknown
    }
}

/// The major number of the last word of the first line that looks like a version.
fn major_of(version: &str) -> Option<u32> {
    let line = version.lines().next()?;
    let words = line.split(|c: char| c.is_whitespace() || c == '(' || c == ')');
    words
        .filter(|w| w.contains('.') && w.starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|w| w.split('.').next()?.parse().ok())
        .next_back()
}

fn base_flags(family: CompilerFamily, cpp: bool) -> Vec<Vec<&'static str>> {
    if family == CompilerFamily::Msvc {
        return vec![vec!["/nologo", "/LD", "/O2", "/MD", "/EHsc", "/std:c++20"]];
    }
    let standards: &[&'static str] = if cpp {
        &["-std=c++20", "-std=c++17"]
    } else {
        &["-std=c11"]
    };
    standards
        .iter()
        .map(|s| vec![*s, "-O3", "-shared", "-fPIC"])
        .collect()
}

/// Flags that make better code, where the compiler takes them.
const OPTIONAL_FLAGS: &[&str] = &["-march=native", "-ffp-contract=off", "-fno-math-errno"];

fn choose_flags(system: &dyn System, cxx: &mut Cxx, cpp: bool) -> Result<(), AttemptResult> {
    if cpp {
        match try_everything(system, cxx) {
            Ok(()) => return Ok(()),
            // Who did not answer once will not answer sooner the second time.
            Err(run) if run.outcome == Outcome::TimedOut => return Err(AttemptResult::TimedOut),
            Err(_) => {}
        }
    }
    let source = if cpp { PROBE_SOURCE } else { PROBE_SOURCE_C };
    let mut refusal = AttemptResult::CannotBuild(String::new());
    for flags in base_flags(cxx.family, cpp) {
        cxx.flags = flags.into_iter().map(str::to_owned).collect();
        let run = build(system, cxx, source, cpp, &[]);
        if run.succeeded() {
            add_optional_flags(system, cxx, cpp);
            return Ok(());
        }
        if run.outcome == Outcome::TimedOut {
            return Err(AttemptResult::TimedOut);
        }
        refusal = AttemptResult::CannotBuild(clip(&run.report()));
    }
    Err(refusal)
}

/// Tries the newest standard, all optional flags and OpenMP in one compilation:
/// each costs a noticeable part of a second, and usually all of them work.
fn try_everything(system: &dyn System, cxx: &mut Cxx) -> Result<(), Run> {
    let base = base_flags(cxx.family, true).swap_remove(0);
    let optional: &[&str] = match cxx.family {
        CompilerFamily::Msvc => &[],
        _ => OPTIONAL_FLAGS,
    };
    let openmp = openmp_flags(cxx.family);
    let source = format!("{PROBE_SOURCE}{OPENMP_SOURCE}");
    cxx.flags = owned(&base);
    let extra = optional.iter().chain(openmp).chain(complete(cxx.family));
    let extra: Vec<&str> = extra.copied().collect();
    let run = build(system, cxx, &source, true, &extra);
    if !run.succeeded() {
        return Err(run);
    }
    cxx.flags.extend(owned(optional));
    cxx.openmp_flags = owned(openmp);
    Ok(())
}

fn owned(flags: &[&str]) -> Vec<String> {
    flags.iter().map(|f| (*f).to_owned()).collect()
}

fn openmp_flags(family: CompilerFamily) -> &'static [&'static str] {
    match family {
        CompilerFamily::AppleClang => &["-Xclang", "-fopenmp", "-lomp"],
        CompilerFamily::Msvc => &["/openmp"],
        _ => &["-fopenmp"],
    }
}

/// A shared object may leave symbols open; the OpenMP runtime's absence would
/// then be noticed only where it is loaded.
fn complete(family: CompilerFamily) -> &'static [&'static str] {
    match family {
        CompilerFamily::Gcc | CompilerFamily::Clang => &["-Wl,-z,defs"],
        _ => &[],
    }
}

fn add_optional_flags(system: &dyn System, cxx: &mut Cxx, cpp: bool) {
    if !cpp {
        return;
    }
    if cxx.family != CompilerFamily::Msvc {
        for flag in OPTIONAL_FLAGS {
            if build(system, cxx, PROBE_SOURCE, cpp, &[flag]).succeeded() {
                cxx.flags.push((*flag).to_owned());
            }
        }
    }
    let openmp = openmp_flags(cxx.family);
    let extra: Vec<&str> = openmp.iter().chain(complete(cxx.family)).copied().collect();
    let run = build(system, cxx, OPENMP_SOURCE, true, &extra);
    if run.succeeded() {
        cxx.openmp_flags = owned(openmp);
    } else {
        cxx.openmp_refusal = clip(&run.report());
    }
}

/// Compiles and links `source` in a folder of its own; the folder is removed.
fn build(system: &dyn System, cxx: &Cxx, source: &str, cpp: bool, extra: &[&str]) -> Run {
    let failed = |what: String| Run {
        outcome: Outcome::NotStarted(std::io::ErrorKind::Other),
        stdout: String::new(),
        stderr: what,
        elapsed: Duration::ZERO,
    };
    let dir = match system.scratch_dir(None) {
        Ok(dir) => dir,
        Err(error) => return failed(format!("no temporary folder: {error}")),
    };
    let file = dir.join(if cpp { "probe.cpp" } else { "probe.c" });
    let run = match system.write(&file, source.as_bytes()) {
        Ok(()) => {
            let output = dir.join("probe.so");
            let library = output.to_string_lossy().into_owned();
            let mut command = cxx
                .command()
                .arg(file.to_string_lossy())
                .args(extra.iter().copied());
            command = if cxx.family == CompilerFamily::Msvc {
                command.arg(format!("/Fe{library}"))
            } else {
                command.arg("-o").arg(library)
            };
            let run = system.run(
                &command
                    .env("LC_ALL", "C")
                    .cwd(dir.clone())
                    .time_limit(system.patience(Duration::from_secs(30))),
            );
            // A broken wrapper may say that all is well.
            if run.succeeded() && !system.exists(&output) {
                let printed = clip(&run.combined());
                failed(format!(
                    "exit status 0, but no output was written\n{printed}"
                ))
            } else {
                run
            }
        }
        Err(error) => failed(format!("cannot write {}: {error}", file.display())),
    };
    // A folder that stays behind is untidy, not wrong.
    let _ = system.remove_dir_all(&dir);
    run
}

fn clip(text: &str) -> String {
    text.chars().take(2000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{FakeSystem, ends, exits};

    const GCC: &str =
        "g++ (Debian 12.2.0-14) 12.2.0\nCopyright (C) 2022 Free Software Foundation, Inc.";

    fn gcc_machine() -> FakeSystem {
        FakeSystem::default()
            .with_program("/usr/bin/g++")
            .with_script("g++", "--version", exits(0, GCC, ""))
    }

    #[test]
    fn a_working_compiler_is_found_with_its_flags() {
        let search = find_cxx(&gcc_machine());
        let cxx = search.cxx.expect("a compiler");
        assert_eq!(cxx.family, CompilerFamily::Gcc);
        assert_eq!(cxx.major, Some(12));
        assert!(cxx.flags.iter().any(|f| f == "-march=native"));
        assert_eq!(cxx.openmp_flags, ["-fopenmp"]);
    }

    #[test]
    fn an_old_compiler_gets_the_older_standard() {
        let refusal = exits(
            1,
            "",
            "error: unrecognized command line option '-std=c++20'",
        );
        let search = find_cxx(&gcc_machine().with_script("g++", "-std=c++20", refusal));
        assert!(
            search
                .cxx
                .expect("a compiler")
                .flags
                .contains(&"-std=c++17".to_owned())
        );
    }

    #[test]
    fn every_refusal_is_kept() {
        let broken = exits(1, "", "fatal error: algorithm: No such file or directory");
        let search = find_cxx(&gcc_machine().with_script("g++", "-shared", broken));
        assert!(search.cxx.is_none());
        assert!(
            matches!(&search.attempts[0].result, AttemptResult::CannotBuild(t) if t.contains("algorithm"))
        );
        assert!(
            search.attempts[1..]
                .iter()
                .all(|a| a.result == AttemptResult::NotFound)
        );
    }

    #[test]
    fn a_compiler_named_by_the_environment_is_the_only_candidate() {
        let search = find_cxx(&gcc_machine().with_env("CXX", "ccache g++"));
        assert_eq!(search.attempts.len(), 1);
        assert_eq!(search.attempts[0].result, AttemptResult::NotFound);
    }

    #[test]
    fn a_hanging_compiler_is_reported() {
        let search =
            find_cxx(&gcc_machine().with_script("g++", "--version", ends(Outcome::TimedOut, "")));
        assert_eq!(search.attempts[0].result, AttemptResult::TimedOut);
    }

    #[test]
    fn a_compiler_that_hangs_while_compiling_is_asked_once() {
        let machine = gcc_machine().with_script("g++", "-shared", ends(Outcome::TimedOut, ""));
        let search = find_cxx(&machine);
        assert_eq!(search.attempts[0].result, AttemptResult::TimedOut);
        let history = machine.history.lock().expect("no test panicked here");
        assert_eq!(history.iter().filter(|l| l.contains("-shared")).count(), 1);
    }

    #[test]
    fn a_crash_says_so() {
        let crash = ends(Outcome::Signalled(11), "");
        let search = find_cxx(&gcc_machine().with_script("g++", "-shared", crash));
        assert!(
            matches!(&search.attempts[0].result, AttemptResult::CannotBuild(t) if t.contains("Segmentation fault"))
        );
    }

    #[test]
    fn a_healthy_compiler_is_tried_with_everything_at_once() {
        let machine = gcc_machine();
        find_cxx(&machine);
        let history = machine.history.lock().expect("no test panicked here");
        assert_eq!(history.iter().filter(|l| l.contains("-shared")).count(), 1);
    }

    #[test]
    fn a_busy_machine_is_given_more_time() {
        let second = Duration::from_secs(1);
        let machine = gcc_machine();
        assert_eq!(machine.patience(second), second);
        let busy = machine
            .with_file("/proc/loadavg", "12.00 9.00 8.00 3/200 1\n")
            .with_file("/proc/cpuinfo", "processor : 0\nprocessor : 1\n");
        assert_eq!(busy.patience(second), Duration::from_secs(6));
    }

    #[test]
    fn without_openmp_the_compiler_still_counts() {
        let broken = exits(1, "", "fatal error: omp.h: No such file or directory");
        let search = find_cxx(&gcc_machine().with_script("g++", "-fopenmp", broken));
        assert!(search.cxx.expect("a compiler").openmp_flags.is_empty());
    }
}
