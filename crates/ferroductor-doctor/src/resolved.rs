//! Failures that the log itself shows repaired: the package was installed
//! later, and the message did not come again.
//!
//! What must hold: only a package that brings what was missing counts, and only
//! after the last such message.

use crate::case::Case;
use crate::kind::Kind;
use crate::rules::{Confidence, Verdict};
use crate::signal::Signal;

/// Leaves verdicts on repaired failures as mere possibilities.
pub fn mark(case: &Case, verdicts: &mut [Verdict]) {
    for verdict in verdicts {
        if is_repaired(case, verdict) {
            verdict.confidence = Confidence::Low;
        }
    }
}

fn is_repaired(case: &Case, verdict: &Verdict) -> bool {
    let last = verdict.evidence.iter().map(|h| case.last_line(h)).max();
    let Some(last) = last else { return false };
    let mut installed = case.all(Signal::PackageInstalled).filter(|h| h.line > last);
    installed.any(|hit| {
        let names = hit.get("name").or(hit.get("found")).unwrap_or_default();
        names
            .split_whitespace()
            .any(|name| brings(verdict.kind, name))
    })
}

/// Whether a package, as a package manager names it, ends a kind of failure.
fn brings(kind: Kind, package: &str) -> bool {
    use Kind::*;
    let named = |names: &[&str]| {
        let fits = |name: &&str| {
            let rest = package.strip_prefix(*name);
            rest.is_some_and(|r| r.is_empty() || r.starts_with(['-', '=']))
        };
        names.iter().any(fits)
    };
    match kind {
        PythonHTriton | PythonHInductorCpp | PythonHCppExtension => {
            package.contains("python3") && ["-dev", "-devel"].iter().any(|e| package.ends_with(e))
        }
        NoCxxCompiler | NoCCompilerTriton | HalfInstalledToolchain => {
            named(&["g++", "gcc", "build-essential", "clang", "binutils"])
        }
        OmpHLinux | LibgompMissing => named(&["libomp", "libgomp1", "gcc", "g++"]),
        NinjaMissing => named(&["ninja", "ninja-build"]),
        SetuptoolsMissing => named(&["setuptools", "python3-setuptools"]),
        TritonMissing => named(&["triton", "triton-windows"]),
        OpensslProgramMissing => named(&["openssl"]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::rules;

    fn sure(text: &str) -> usize {
        let case = crate::case::Case::read(text.as_bytes()).expect("reading from memory");
        let verdicts = rules::judge_all(&case);
        verdicts
            .iter()
            .filter(|v| v.confidence > rules::Confidence::Low)
            .count()
    }

    #[test]
    fn what_was_installed_afterwards_is_no_cause_unless_the_message_comes_again() {
        let failure = "/tmp/t/main.c:6:10: fatal error: Python.h: No such file or directory\n";
        let other = "Setting up python3-pip (23.0) ...\n";
        let right = "Setting up python3.11-dev (3.11.2-6) ...\n";
        assert_eq!(sure(failure), 1);
        assert_eq!(sure(&format!("{failure}{other}")), 1);
        assert_eq!(sure(&format!("{failure}{right}")), 0);
        assert_eq!(sure(&format!("{failure}{right}{failure}")), 1);
    }
}
