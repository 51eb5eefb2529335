//! Everything the rules may look at: the meanings found in a log, where they
//! stand, and what surrounds them.
//!
//! What must hold: size is bounded whatever the log; a rule asks questions
//! here and never scans text itself.

use crate::context::{self, Actor, Context};
use crate::doubt::Doubts;
use crate::log::{self, LogSize};
use crate::signal::{self, Signal};
use crate::wrapped::{Joined, Unwrapper};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use ferroductor_toolchain::localised;
use ferroductor_toolchain::message::{classify_line, may_hold_message};
use ferroductor_toolchain::pattern::Scanner;
use ferroductor_toolchain::{CompileCommand, FlagRole, Message};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{self, BufRead};
use std::sync::LazyLock;

/// The meaning of a line, from the compiler or from above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meaning {
    Message(Message),
    Signal(Signal),
}

impl From<Message> for Meaning {
    fn from(message: Message) -> Self {
        Meaning::Message(message)
    }
}

impl From<Signal> for Meaning {
    fn from(signal: Signal) -> Self {
        Meaning::Signal(signal)
    }
}

/// One line that means something.
#[derive(Debug, Clone)]
pub struct Hit {
    pub meaning: Meaning,
    pub line: u64,
    /// The line, cut around the match when it is long.
    pub text: String,
    pub captures: BTreeMap<&'static str, String>,
    /// The file of the last traceback frame above that is not the standard library's.
    pub frame: Option<String>,
    /// Whether what surrounds the line says that this may not have happened.
    pub doubted: bool,
}

/// How often a line like one was seen, and where last.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    count: u32,
    last_line: u64,
}

impl Hit {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.captures.get(name).map(String::as_str)
    }

    /// Whether the line or the frame above it holds any of the words.
    pub fn near_any(&self, words: &[&str]) -> bool {
        let frame = self.frame.as_deref().unwrap_or_default();
        words
            .iter()
            .any(|w| self.text.contains(w) || frame.contains(w))
    }
}

/// Hits of one meaning with the same captures beyond this are only counted.
const HITS_PER_VALUE: u32 = 3;
const HITS_IN_ALL: usize = 4096;
const COMMANDS_KEPT: usize = 64;
const EVIDENCE_WIDTH: usize = 320;

/// What a log holds that a rule may ask for.
#[derive(Debug, Default)]
pub struct Case {
    pub hits: Vec<Hit>,
    seen: HashMap<(Meaning, String), Seen>,
    pub context: Context,
    /// Compile commands with their line numbers.
    pub commands: Vec<(u64, CompileCommand)>,
    pub size: LogSize,
    relevant: Relevant,
    frame: Option<(u64, String)>,
    wrapped: Option<String>,
    unwrapper: Unwrapper,
    doubts: Doubts,
    doubting: bool,
}

/// Literals outside the tables that make a line worth reading.
const OTHER_LITERALS: &[&str] = &[
    "File ", " -I", "'-I", "-shared", " -O", "'-O", " /I ", "gpu-name",
];

/// Whether a line can matter at all. Most lines of a long log do not, and cost
/// this one pass only.
static WORTH_READING: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let messages = ferroductor_toolchain::message::TABLE
        .iter()
        .flat_map(|p| p.anchors);
    let signals = signal::TABLE.iter().flat_map(|p| p.anchors);
    let literals = messages
        .chain(signals)
        .chain(OTHER_LITERALS)
        .chain(RELEVANT_WORDS)
        .copied()
        .chain(context::clue_literals())
        .chain(localised::phrases());
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(literals)
        .ok()
});

static SIGNALS: LazyLock<Scanner<Signal>> = LazyLock::new(|| Scanner::new(signal::TABLE));

impl Case {
    /// Reads a whole log.
    pub fn read(reader: impl BufRead) -> io::Result<Case> {
        let mut case = Case::default();
        let size = log::for_each_line(reader, |number, line| {
            if let Some(joined) = case.unwrapper.push(number, line) {
                case.read_joined(&joined);
            }
            case.doubting = case.doubts.about(line);
            case.read_line(number, line);
        })?;
        if let Some(joined) = case.unwrapper.finish() {
            case.read_joined(&joined);
        }
        if !case.doubts.configure_failed() {
            case.hits.retain(|h| !h.doubted);
        }
        case.size = size;
        Ok(case)
    }

    fn read_line(&mut self, number: u64, line: &str) {
        let skip = WORTH_READING.as_ref().is_some_and(|w| !w.is_match(line));
        if line.len() < 3 || (skip && self.wrapped.is_none()) {
            return;
        }
        self.context.read_line(number, line);
        self.note_frame(number, line);
        let found = self.note_meanings(number, line);
        self.try_wrapped(number, line, found);
        self.note_command(number, line);
        self.relevant.read_line(number, line);
    }

    /// Reads a line that stood on several, for what only the whole shows.
    fn read_joined(&mut self, joined: &Joined) {
        let text = joined.text.as_str();
        if WORTH_READING.as_ref().is_some_and(|w| !w.is_match(text)) {
            return;
        }
        self.context.read_line(joined.first_line(), text);
        self.note_frame(joined.last_line(), text);
        let messages = classify_line(text)
            .into_iter()
            .map(|m| (m.start, m.end, Meaning::from(m.id), m.captures));
        let signals = SIGNALS
            .scan(text)
            .into_iter()
            .map(|m| (m.start, m.end, Meaning::from(m.id), m.captures));
        for (start, end, meaning, captures) in messages.chain(signals) {
            if !joined.crosses(start, end) {
                continue;
            }
            let line = joined.line_at(start);
            // What a single line of these said was cut short.
            let last = joined.line_at(end.saturating_sub(1));
            self.hits
                .retain(|h| h.meaning != meaning || !(line..=last).contains(&h.line));
            self.keep(line, text, (start, end), meaning, captures);
        }
        self.commands
            .retain(|(n, _)| !(joined.first_line()..=joined.last_line()).contains(n));
        self.note_command(joined.first_line(), text);
    }

    /// Remembers `File "…"` lines of code that is not the standard library.
    fn note_frame(&mut self, number: u64, line: &str) {
        let Some(start) = line
            .find("File \"")
            .map(|s| s + 6)
            .or_else(|| line.find("File ").map(|s| s + 5))
        else {
            return;
        };
        let rest = &line[start..];
        let path = rest.split(['"', ' ']).next().unwrap_or_default();
        let standard = (path.contains("/lib/python3")
            || path.contains("\\lib\\")
            || path.starts_with("<frozen"))
            && !path.contains("-packages");
        if !standard && path.len() > 2 && path.len() < 1000 {
            self.frame = Some((number, path.to_owned()));
        }
    }

    fn note_meanings(&mut self, number: u64, line: &str) -> bool {
        let mut found = false;
        for m in classify_line(line) {
            self.keep(number, line, (m.start, m.end), m.id.into(), m.captures);
            found = true;
        }
        for m in SIGNALS.scan(line) {
            self.keep(number, line, (m.start, m.end), m.id.into(), m.captures);
            found = true;
        }
        found
    }

    /// A terminal of fixed width breaks messages: tries a line with its predecessor.
    fn try_wrapped(&mut self, number: u64, line: &str, found: bool) {
        if let Some(before) = self.wrapped.take().filter(|_| !found) {
            for joined in [
                format!("{before}{line}"),
                format!("{before} {}", line.trim_start()),
            ] {
                if self.note_meanings(number.saturating_sub(1), &joined) {
                    break;
                }
            }
        }
        let could_be_cut = !found && (30..2000).contains(&line.len());
        if could_be_cut && (may_hold_message(line) || SIGNALS.has_anchor(line)) {
            self.wrapped = Some(line.to_owned());
        }
    }

    fn keep(
        &mut self,
        line: u64,
        text: &str,
        span: (usize, usize),
        meaning: Meaning,
        captures: BTreeMap<&'static str, String>,
    ) {
        let key = key_of(meaning, &captures);
        if self.hits.len() >= HITS_IN_ALL && !self.seen.contains_key(&key) {
            return;
        }
        // A doubted line must not take the place of a real one.
        if !self.doubting {
            let seen = self.seen.entry(key).or_default();
            seen.count = seen.count.saturating_add(1);
            seen.last_line = seen.last_line.max(line);
            if seen.count > HITS_PER_VALUE {
                return;
            }
        }
        let room = if self.doubting {
            HITS_IN_ALL / 2
        } else {
            HITS_IN_ALL
        };
        if self.hits.len() >= room {
            return;
        }
        let near = self
            .frame
            .as_ref()
            .filter(|(n, _)| line.saturating_sub(*n) <= 12);
        let frame = near.map(|(_, path)| path.clone());
        self.hits.push(Hit {
            meaning,
            line,
            text: cut_around(text, span),
            captures,
            frame,
            doubted: self.doubting,
        });
    }

    fn note_command(&mut self, number: u64, line: &str) {
        let promising =
            line.len() > 40 && (line.contains(" -") || line.contains("'-") || line.contains(" /"));
        if !promising || self.commands.len() >= COMMANDS_KEPT {
            return;
        }
        if let Some(command) = CompileCommand::find(line) {
            // Ninja prints a failed command twice; one is enough.
            if self
                .commands
                .last()
                .is_none_or(|(_, last)| *last != command)
            {
                self.commands.push((number, command));
            }
        }
    }

    pub fn all(&self, meaning: impl Into<Meaning>) -> impl Iterator<Item = &Hit> {
        let meaning = meaning.into();
        self.hits.iter().filter(move |h| h.meaning == meaning)
    }

    pub fn first(&self, meaning: impl Into<Meaning>) -> Option<&Hit> {
        self.all(meaning).next()
    }

    pub fn has(&self, meaning: impl Into<Meaning>) -> bool {
        self.first(meaning).is_some()
    }

    /// How often a line like this one occurs.
    pub fn occurrences(&self, hit: &Hit) -> u32 {
        self.seen_of(hit).map_or(1, |seen| seen.count.max(1))
    }

    /// The last line like this one.
    pub fn last_line(&self, hit: &Hit) -> u64 {
        let last = self.seen_of(hit).map_or(0, |seen| seen.last_line);
        last.max(hit.line)
    }

    fn seen_of(&self, hit: &Hit) -> Option<&Seen> {
        self.seen.get(&key_of(hit.meaning, &hit.captures))
    }

    /// The command that most likely printed a line: the last one above, or the
    /// next one below, as Triton prints its command after the compiler's words.
    pub fn command_at(&self, line: u64) -> Option<&(u64, CompileCommand)> {
        let above = self
            .commands
            .iter()
            .rev()
            .find(|(n, _)| *n <= line && line - n <= 400);
        let below = self
            .commands
            .iter()
            .find(|(n, _)| *n > line && n - line <= 60);
        match (above, below) {
            (Some(a), Some(b)) if b.0 - line < line - a.0 && is_triton_helper(&b.1) => Some(b),
            (Some(a), _) => Some(a),
            (None, b) => b,
        }
    }

    /// Who was compiling when a line was printed.
    pub fn actor_at(&self, hit: &Hit) -> Option<Actor> {
        actor_of_text(&hit.text)
            .or_else(|| {
                self.command_at(hit.line)
                    .and_then(|(_, c)| actor_of_command(c))
            })
            .or_else(|| actor_of_torch_header(&hit.text))
            .or_else(|| hit.frame.as_deref().and_then(actor_of_text))
            .or_else(|| self.context.nearest_actor(hit.line, 120))
    }

    /// The lines a person should look at when no rule applies.
    pub fn relevant_lines(&self) -> Vec<(u64, String)> {
        self.relevant.lines()
    }
}

/// Lines with the same meaning and the same first value are counted together.
fn key_of(meaning: Meaning, captures: &BTreeMap<&'static str, String>) -> (Meaning, String) {
    let value = captures.values().next().map_or("", String::as_str);
    (meaning, value.chars().take(200).collect())
}

/// Cuts a long line so that the matched part stays in view.
fn cut_around(text: &str, (start, end): (usize, usize)) -> String {
    let text_len = text.len();
    if text_len <= EVIDENCE_WIDTH {
        return text.trim().to_owned();
    }
    let lead = EVIDENCE_WIDTH.saturating_sub(end.saturating_sub(start)) / 2;
    let mut from = start.saturating_sub(lead);
    let mut to = (from + EVIDENCE_WIDTH)
        .max(end.min(start + 2 * EVIDENCE_WIDTH))
        .min(text_len);
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    while !text.is_char_boundary(to) {
        to += 1;
    }
    let head = if from > 0 { "…" } else { "" };
    let tail = if to < text_len { "…" } else { "" };
    format!("{head}{}{tail}", text[from..to].trim())
}

fn actor_of_text(text: &str) -> Option<Actor> {
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    if has(&[
        "/triton/",
        r"\triton\",
        r"\\triton\\",
        "cuda_utils",
        "__triton_launcher",
        ".triton/cache",
    ]) || names_temporary_main(text)
    {
        Some(Actor::Triton)
    } else if has(&["torch_extensions", "cpp_extension"]) {
        Some(Actor::CppExtension)
    } else if has(&[
        "torchinductor",
        ".main.cpp",
        "_inductor/",
        r"_inductor\",
        "csrc/inductor/",
        "InductorError",
        "CppCompileError",
    ]) {
        Some(Actor::InductorCpp)
    } else if has(&["ferroductor/", "ferroductor_", "ferroductor-"]) {
        Some(Actor::Ferroductor)
    } else {
        None
    }
}

/// Triton's helpers before release 3 were called `main.c`, each in a temporary
/// folder of Python's.
fn names_temporary_main(text: &str) -> bool {
    let place = text.find("/main.c:").or_else(|| text.find("\\main.c("));
    let Some(folder) = place.map(|at| &text[..at]) else {
        return false;
    };
    let name = folder.rsplit(['/', '\\']).next().unwrap_or_default();
    name.strip_prefix("tmp")
        .is_some_and(|random| random.len() == 8)
}

/// Headers of torch that extensions include first; Inductor's kernels may
/// include them too, so a command says more.
fn actor_of_torch_header(text: &str) -> Option<Actor> {
    let headers = ["torch/csrc/python_headers.h", "torch/extension.h"];
    let named = headers.iter().any(|h| text.contains(h));
    named.then_some(Actor::CppExtension)
}

/// Whether a command compiles one of Triton's driver or launcher helpers.
pub fn is_triton_helper(command: &CompileCommand) -> bool {
    let names_triton = command.flags.iter().any(|f| {
        let text = f.text.replace('\\', "/");
        text.contains("/triton/")
            || text.contains("cuda_utils")
            || text.contains("__triton_launcher")
    });
    let temporary_main = command.values(FlagRole::Source).any(|s| {
        s.ends_with("/main.c")
            && (s.contains("/tmp") || s.contains("/var/folders") || s.contains("Temp"))
    });
    names_triton || temporary_main
}

/// Who runs such a command.
pub fn actor_of_command(command: &CompileCommand) -> Option<Actor> {
    if command
        .flags
        .iter()
        .any(|f| f.text.contains("FERRODUCTOR") || f.text.contains("/ferroductor"))
    {
        Some(Actor::Ferroductor)
    } else if command.has(FlagRole::CppWrapperDefine)
        || command
            .flags
            .iter()
            .any(|f| f.text.contains("torchinductor"))
    {
        Some(Actor::InductorCpp)
    } else if is_triton_helper(command) {
        Some(Actor::Triton)
    } else if command.has(FlagRole::ExtensionDefine) || command.has(FlagRole::TorchHeaders) {
        Some(Actor::CppExtension)
    } else {
        None
    }
}

/// Words of lines that a person looks at first.
const RELEVANT_WORDS: &[&str] = &[
    "rror:",
    "RROR",
    "fatal",
    "failed",
    "Exception",
    "annot ",
    "denied",
    "not found",
    "undefined",
    "Aborted",
    "core dumped",
];

/// A bounded choice of lines that look like errors: the first and the last.
#[derive(Debug, Default)]
struct Relevant {
    first: Vec<(u64, String)>,
    last: VecDeque<(u64, String)>,
}

impl Relevant {
    fn read_line(&mut self, number: u64, line: &str) {
        let traceback_code = line.trim_start().starts_with("raise ");
        if traceback_code || line.len() > 4000 || !RELEVANT_WORDS.iter().any(|w| line.contains(w)) {
            return;
        }
        let text: String = line.trim().chars().take(EVIDENCE_WIDTH).collect();
        if self.first.len() < 3 {
            self.first.push((number, text));
            return;
        }
        if self.last.len() >= 6 {
            self.last.pop_front();
        }
        self.last.push_back((number, text));
    }

    fn lines(&self) -> Vec<(u64, String)> {
        self.first.iter().chain(self.last.iter()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Case {
        Case::read(text.as_bytes()).expect("reading from memory")
    }

    #[test]
    fn a_message_broken_by_a_narrow_terminal_is_found() {
        let case = case(
            "/tmp/torchinductor_me/x.cpp:35:10: fatal error: Python.h: No su\nch file or directory\n",
        );
        assert!(case.has(Message::HeaderMissing));
        let case = self::case(
            "/home/user/app/lib/libfoo.so: cannot open shared obj\nect file: No such file or directory\n",
        );
        assert!(case.has(Message::SharedObjectMissing) || case.hits.is_empty());
    }

    #[test]
    fn repeated_lines_are_counted_not_kept() {
        let case = case(&"/usr/bin/ld: cannot find -lcuda\n".repeat(5000));
        assert_eq!(case.hits.len(), HITS_PER_VALUE as usize);
        assert_eq!(case.occurrences(&case.hits[0]), 5000);
    }

    #[test]
    fn evidence_is_cut_around_the_match() {
        let text = format!(
            "{}fatal error: Python.h: No such file{}",
            "é".repeat(900),
            "ü".repeat(900)
        );
        let start = text.find("fatal").expect("present");
        let cut = cut_around(&text, (start, start + 20));
        assert!(cut.contains("fatal error: Python.h") && cut.len() < 1000);
    }
}
