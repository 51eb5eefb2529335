//! Messages of failures that did not happen to the program of the log: named
//! in advice, provoked by a configure script to learn something, given as the
//! reason to skip a test, part of an exception that was caught, or quoted by
//! source code, a patch, a list of commits or what `grep` found.
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
    /// Lines of a test in CMake's own log that may still come.
    cmake_tested: u32,
    /// Lines of a table in a test's source that may still come.
    table: u32,
    /// Lines of a patch that may still come.
    patch: u32,
    /// Whether the last lines are the entry of a commit.
    in_commit: bool,
    /// Whether the last line was source code of a script or an image.
    in_source: bool,
    /// Whether a configure script gave up, so that its tests were the failure.
    configure_failed: bool,
}

/// A caught exception has no longer traceback than this.
const TRACEBACK: u32 = 60;
/// A test in CMake's log prints no more than this.
const CMAKE_TEST: u32 = 60;
/// A table of messages in a test's source is no longer than this.
const TABLE: u32 = 40;
/// A configure test prints no more than this.
const TEST: u32 = 8;

impl Doubts {
    /// Takes in a line; says whether what it reports may not have happened.
    pub fn about(&mut self, line: &str) -> bool {
        self.configure_failed |= line.contains("cannot create executables")
            || line.contains("not able to compile a simple test program");
        self.in_ignored_exception(line)
            || self.in_configure_test(line)
            || self.in_cmake_test(line)
            || self.in_table_of_test(line)
            || self.in_patch(line)
            || self.in_list_of_commits(line)
            || self.is_comment_of_source(line)
            || is_found_in_source(line)
            || names_parameters_of_test(line)
            || is_remark(line)
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

    /// A test in the log that CMake keeps of its tests (`CMakeError.log`,
    /// `CMakeConfigureLog.yaml`): they fail wherever a thing is not there.
    fn in_cmake_test(&mut self, line: &str) -> bool {
        let heading = line.contains("failed with the following output:")
            && ["Determining ", "Performing ", "Checking "]
                .iter()
                .any(|w| line.contains(w));
        if heading || line.contains("kind: \"try_compile") || line.contains("kind: \"try_run") {
            self.cmake_tested = CMAKE_TEST;
            return true;
        }
        if self.cmake_tested == 0 {
            return false;
        }
        self.cmake_tested -= 1;
        let over = [
            "Source file was:",
            "exitCode:",
            "CMake Error",
            "Build files have been written",
        ];
        if over.iter().any(|w| line.contains(w)) {
            self.cmake_tested = 0;
        }
        self.cmake_tested > 0
    }

    /// A hunk of a patch, whose heading says how long it is.
    fn in_patch(&mut self, line: &str) -> bool {
        if let Some(length) = hunk_length(line) {
            self.patch = length;
            return true;
        }
        if self.patch == 0 {
            return false;
        }
        self.patch -= 1;
        let of_patch = line.is_empty() || line.starts_with([' ', '+', '-', '\\']);
        if !of_patch {
            self.patch = 0;
        }
        of_patch
    }

    /// What `git log` prints: an indented text below its heading, or a hash and
    /// a sentence on one line.
    fn in_list_of_commits(&mut self, line: &str) -> bool {
        let hash = line.strip_prefix("commit ").unwrap_or_default();
        if hash.len() >= 40 && is_hash(&hash[..40]) {
            self.in_commit = true;
            return true;
        }
        let belongs = line.is_empty()
            || ["    ", "Author:", "Date:", "Merge:"]
                .iter()
                .any(|w| line.starts_with(w));
        self.in_commit &= belongs;
        self.in_commit || is_commit_line(line)
    }

    /// A comment between lines of a script, a program or the recipe of an image.
    fn is_comment_of_source(&mut self, line: &str) -> bool {
        const BEGINNINGS: &[&str] = &[
            "FROM ", "RUN ", "ENV ", "COPY ", "ARG ", "WORKDIR ", "import ", "from ", "def ",
            "export ", "set -", "#!/",
        ];
        if line.starts_with("# ") {
            return self.in_source;
        }
        self.in_source = BEGINNINGS.iter().any(|b| line.starts_with(b));
        false
    }

    /// The messages that a test of a program is given, up to the test itself.
    fn in_table_of_test(&mut self, line: &str) -> bool {
        if line.contains("pytest.mark.parametrize(") {
            self.table = TABLE;
            return true;
        }
        let start = line.trim_start();
        if start.starts_with("def ") || start.starts_with("async def ") {
            self.table = 0;
        }
        self.table = self.table.saturating_sub(1);
        self.table > 0
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
        "Fixed: ",
        "ixes ",
        "no longer",
    ];
    // Only a short line is a sentence of a text.
    line.len() < 400
        && line.contains(['`', '"', '“', '‘', '\''])
        && CONDITIONS.iter().any(|c| line.contains(c))
}

/// The number of lines of a patch's hunk, `@@ -1,4 +1,7 @@`, at most.
fn hunk_length(line: &str) -> Option<u32> {
    let (ranges, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let length = |range: &str| match range.split_once(',') {
        Some((_, count)) => count.parse::<u32>().ok(),
        None => Some(1),
    };
    let (old, new) = ranges.split_once(" +")?;
    Some(length(old)?.saturating_add(length(new)?))
}

fn is_hash(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// `1a2b3c4 Work around the missing compiler`, and no program's own message.
fn is_commit_line(line: &str) -> bool {
    const SUBJECTS: &[&str] = &[
        "fix", "feat", "ci", "docs", "build", "chore", "test", "tests", "perf", "refactor",
    ];
    let Some((hash, sentence)) = line.split_once(' ') else {
        return false;
    };
    let word = sentence.split([' ', '(']).next().unwrap_or_default();
    let subject = word.trim_end_matches(':').to_ascii_lowercase();
    let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic());
    let traceback = word == "Traceback" || word == "File";
    (7..=10).contains(&hash.len())
        && is_hash(hash)
        // A number is the time or the process of a log's line.
        && hash.bytes().any(|b| b.is_ascii_alphabetic())
        && !traceback
        && (plain || SUBJECTS.contains(&subject.as_str()))
}

/// What `grep -n` found in a program or a text: `x.py:4:    ("message", …`.
fn is_found_in_source(line: &str) -> bool {
    const ENDINGS: &[&str] = &[
        ".py:", ".md:", ".rst:", ".sh:", ".yml:", ".yaml:", ".toml:", ".json:", ".nix:", ".js:",
    ];
    let Some((at, ending)) = ENDINGS
        .iter()
        .filter_map(|e| line.find(e).map(|at| (at, e)))
        .min()
    else {
        return false;
    };
    let rest = &line[at + ending.len()..];
    let text = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let code = text.strip_prefix(':').unwrap_or_default();
    text.len() < rest.len()
        && (code.starts_with("  ") || code.starts_with(['\t', '"', '\'', '(', '[', '#', '-', '`']))
}

/// What a test runner says of a test that was given a message: in the name of
/// the test, `test_x[a message]`, and among its arguments, `text = 'a message'`.
fn names_parameters_of_test(line: &str) -> bool {
    let brackets = line.find('[').zip(line.rfind(']'));
    let name = brackets
        .filter(|(open, close)| open < close && line[..*open].contains("test_"))
        .map(|(open, close)| &line[open + 1..close]);
    if name.is_some_and(|n| n.len() >= 15 && n.contains(' ')) {
        return true;
    }
    let argument = line.split(" = ").next().unwrap_or_default();
    let value = line[argument.len()..]
        .strip_prefix(" = ")
        .unwrap_or_default();
    !argument.is_empty()
        && argument
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b == b'_')
        && value.starts_with(['\'', '"'])
}

/// Whether a line of source code is a remark: indented, behind a `#`.
fn is_remark(line: &str) -> bool {
    let text = line.trim_start();
    line.len() > text.len() + 1 && text.starts_with("# ")
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
        let cmake = "Performing C++ SOURCE FILE Test A failed with the following output:\n[1/2] Building CXX object cmTC_1\nnvcc fatal\n\nSource file was:\nint main() {}\nnvcc fatal";
        assert_eq!(
            doubted(cmake),
            [true, true, true, true, false, false, false]
        );
        let source = "@pytest.mark.parametrize(\"line\", [\n    \"nvcc fatal\",\n])\ndef test_x(line): ...\nnvcc fatal\n      # ImportError: no x\n# ImportError: no x";
        assert_eq!(
            doubted(source),
            [true, true, true, false, false, true, false]
        );
        let text = "test_a.py::test_sin SKIPPED (Compiler: cl is not found.)\nSKIPPED [1] test_b.py:3: no g++\ntest_c (T.test_c) ... skipped 'no g++'\nFAILED test_d.py - Compiler: cl is not found.";
        assert_eq!(doubted(text), [true, true, true, false]);
    }

    #[test]
    fn messages_that_are_quoted_are_no_failures() {
        let patch = "@@ -1,2 +1 @@\n-- Fixed: `ninja: not found`\n+x\n context\nninja: not found";
        assert_eq!(doubted(patch), [true, true, true, true, false]);
        let commits = "1a2b3c4 CI: cannot find -lcuda in the link step\n1a2b3c4 Work around x\n1a2b3c4 c++: fatal error: Killed\n3f2a9c1 RuntimeError: x";
        assert_eq!(doubted(commits), [true, true, false, false]);
        let commit = format!(
            "commit {}\nAuthor: A\n\n    cannot find -lcuda\ncannot find -lcuda",
            "0a".repeat(20)
        );
        assert_eq!(doubted(&commit), [true, true, true, true, false]);
        let image = "FROM debian\n# Failed to find C compiler\nRUN make\nFailed to find C compiler\n# Failed to find C compiler";
        assert_eq!(doubted(image), [false, true, false, false, false]);
        let found = "t/test_a.py:4:    (\"fatal error: omp.h\", 1),\ncpp_builder.py:14: UserWarning: Can't find Python.h in /usr\nbuild.log:3:  fatal error: omp.h";
        assert_eq!(doubted(found), [true, false, false]);
        let test = "FAILED t.py::test_a[fatal error: omp.h-1]\ntext = 'fatal error: omp.h', word = 'x'\nFAILED t.py::test_a[cpu] - RuntimeError: no compiler";
        assert_eq!(doubted(test), [true, true, false]);
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
