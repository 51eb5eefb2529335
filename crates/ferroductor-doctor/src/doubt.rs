//! Messages of failures that did not happen to the program of the log: named
//! in advice, provoked by a configure script to learn something, given as the
//! reason to skip a test, or part of an exception that was caught.
//!
//! What must hold: a message is doubted for what stands around it, never for
//! its own words; when in doubt about the doubt, the message counts.

/// Watches the lines of a log.
#[derive(Debug, Default)]
pub struct Doubts {
    /// Lines of a caught exception that may still come.
    ignored: u32,
    /// Lines of a configure test that may still come.
    tested: u32,
    /// Whether a configure script gave up, so that its tests were the failure.
    configure_failed: bool,
}

/// A caught exception has no longer traceback than this.
const TRACEBACK: u32 = 60;
/// A configure test prints no more than this.
const TEST: u32 = 8;

impl Doubts {
    /// Takes in a line; says whether what it reports may not have happened.
    pub fn about(&mut self, line: &str) -> bool {
        self.configure_failed |= line.contains("cannot create executables");
        self.in_ignored_exception(line)
            || self.in_configure_test(line)
            || is_advice(line)
            || is_outcome_of_other_test(line)
            || is_listing(line)
            || is_build_step(line)
    }

    /// Whether the doubted messages count after all.
    pub fn configure_failed(&self) -> bool {
        self.configure_failed
    }

    /// `Exception ignored in: …` and what follows, up to the exception itself.
    fn in_ignored_exception(&mut self, line: &str) -> bool {
        if line.contains("xception") && line.contains("ignored") {
            self.ignored = TRACEBACK;
            return true;
        }
        if self.ignored == 0 {
            return false;
        }
        self.ignored -= 1;
        let trace = ["File \"", "Traceback (", "    "];
        if !trace.iter().any(|t| line.contains(t)) && names_exception(line) {
            self.ignored = 0;
        }
        true
    }

    /// A test of a configure script, from its command to its result.
    fn in_configure_test(&mut self, line: &str) -> bool {
        if line.contains("conftest") && line.contains("configure:") {
            self.tested = TEST;
            return true;
        }
        if self.tested == 0 {
            return false;
        }
        self.tested -= 1;
        if line.contains("configure: result:") || line.contains("$? =") {
            self.tested = 0;
        }
        true
    }
}

/// Whether a line ends a traceback.
fn names_exception(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default().trim_end();
    ["Error", "Exception", "Interrupt", "Exit"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Whether a line speaks of a message that somebody may get, in quotes.
fn is_advice(line: &str) -> bool {
    const CONDITIONS: &[&str] = &[
        "f you see",
        "f you get",
        "f you encounter",
        "f you run into",
        "hen you see",
        "ou may see",
        "ou might see",
        "rrors like",
        "rror like",
        "rrors such as",
    ];
    // Only a short line is a sentence of a text.
    line.len() < 400
        && line.contains(['`', '"', '“', '‘', '\''])
        && CONDITIONS.iter().any(|c| line.contains(c))
}

/// Whether a listing around a failing line shows code that raises a message:
/// `   29     raise RuntimeError("…")`. The line that did is marked by an arrow.
fn is_listing(line: &str) -> bool {
    let code = line
        .trim_start()
        .trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = code.len() < line.trim_start().len() && code.starts_with(' ');
    numbered && code.trim_start().starts_with("raise ")
}

/// Whether a builder announces a step, `#9 [4/8] RUN …`, which may hold remarks.
fn is_build_step(line: &str) -> bool {
    let step = line
        .trim_start_matches('#')
        .trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with('#') && step.starts_with(" [") && step.contains("] RUN ")
}

/// Whether a test runner tells that a test passed, why it was not run, or that
/// it was expected to fail.
fn is_outcome_of_other_test(line: &str) -> bool {
    const OUTCOMES: &[&str] = &[
        "SKIPPED (",
        "SKIPPED [",
        "XFAIL (",
        "XFAIL [",
        "] PASSED",
        "... skipped ",
    ];
    OUTCOMES.iter().any(|outcome| line.contains(outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubted(text: &str) -> Vec<bool> {
        let mut doubts = Doubts::default();
        text.lines().map(|line| doubts.about(line)).collect()
    }

    #[test]
    fn reasons_to_skip_are_no_failures() {
        let listing = "     29     raise RuntimeError(\"Failed to find C compiler.\")\n---> 30 raise RuntimeError(\"Failed to find C compiler.\")\n#9 [4/8] RUN apt-get install -y gcc # Failed to find C compiler\n#9 1.2 Failed to find C compiler";
        assert_eq!(doubted(listing), [true, false, true, false]);
        let text = "test_a.py::test_sin SKIPPED (Compiler: cl is not found.)\nSKIPPED [1] test_b.py:3: no g++\ntest_c (T.test_c) ... skipped 'no g++'\nFAILED test_d.py - Compiler: cl is not found.";
        assert_eq!(doubted(text), [true, true, true, false]);
    }

    #[test]
    fn an_exception_that_was_ignored_ends_with_its_name() {
        let text = "Exception ignored in: <function f>\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    import x\nImportError: no x\nRuntimeError: real";
        assert_eq!(doubted(text), [true, true, true, true, true, false]);
    }

    #[test]
    fn a_configure_test_ends_with_its_result() {
        let text = "configure:12: gcc -o conftest conftest.c -lomp >&5\nld: cannot find -lomp\nconfigure:12: $? = 1\nld: cannot find -lcudart";
        assert_eq!(doubted(text), [true, true, true, false]);
    }

    #[test]
    fn a_text_about_a_message_is_told_from_a_report_of_one() {
        assert_eq!(
            doubted("If you see `fatal error: Python.h`, install it."),
            [true]
        );
        assert_eq!(doubted("I get `fatal error: Python.h` here."), [false]);
    }
}
