//! The machine behind a trait: files, environment, user, and processes with a
//! time limit.
//!
//! What must hold: an implementation never blocks longer than the time limit a
//! caller states, and reports failures as values. Checks are written against
//! this trait only.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The operating system family, as far as toolchains differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    Linux,
    MacOs,
    Windows,
}

/// What `stat` says about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    pub is_dir: bool,
    /// Unix permission bits; 0o755 or 0o644 where the system has none.
    pub mode: u32,
    pub uid: Option<u32>,
    pub len: u64,
}

impl Stat {
    /// Whether any execute bit is set on a plain file.
    pub fn is_executable(&self) -> bool {
        !self.is_dir && self.mode & 0o111 != 0
    }
}

/// Free space and mount options of the file system that holds a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub free_bytes: u64,
    pub total_bytes: u64,
    pub free_inodes: u64,
    pub read_only: bool,
    pub no_exec: bool,
}

/// Who runs this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Numeric id; absent on Windows.
    pub uid: Option<u32>,
    /// Whether administrative rights are held.
    pub is_root: bool,
}

/// A process to run.
#[derive(Debug, Clone)]
pub struct Command {
    pub program: String,
    pub args: Vec<String>,
    /// Variables set on top of the inherited environment; `None` removes one.
    pub env: Vec<(String, Option<String>)>,
    pub cwd: Option<PathBuf>,
    pub time_limit: Duration,
}

impl Command {
    /// A command with no arguments and a time limit of ten seconds.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            time_limit: Duration::from_secs(10),
        }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    #[must_use]
    pub fn args<I, S>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), Some(value.into())));
        self
    }

    #[must_use]
    pub fn without_env(mut self, name: impl Into<String>) -> Self {
        self.env.push((name.into(), None));
        self
    }

    #[must_use]
    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// The command as a line a person can paste; words with spaces are quoted.
    pub fn to_line(&self) -> String {
        let mut line = quote(&self.program);
        for arg in &self.args {
            line.push(' ');
            line.push_str(&quote(arg));
        }
        line
    }
}

/// Quotes one word for a POSIX shell where that is needed.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Exited(i32),
    Signalled(i32),
    TimedOut,
    /// It could not be started: not found, not executable, out of processes.
    NotStarted(io::ErrorKind),
}

/// What a process did; outputs are bounded and lossily decoded.
#[derive(Debug, Clone)]
pub struct Run {
    pub outcome: Outcome,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
}

impl Run {
    pub fn succeeded(&self) -> bool {
        self.outcome == Outcome::Exited(0)
    }

    /// Both streams, errors last, for classification and reports.
    pub fn combined(&self) -> String {
        match (self.stdout.is_empty(), self.stderr.is_empty()) {
            (true, _) => self.stderr.clone(),
            (_, true) => self.stdout.clone(),
            _ => format!("{}\n{}", self.stdout, self.stderr),
        }
    }

    /// Both streams, and how it ended when that was not by an exit of its own.
    pub fn report(&self) -> String {
        let printed = self.combined();
        let ending = match self.outcome {
            Outcome::Exited(0) => return printed,
            Outcome::Exited(code) if printed.trim().is_empty() => format!("exit status {code}"),
            Outcome::Exited(_) => return printed,
            Outcome::TimedOut => "no answer in time".to_owned(),
            Outcome::Signalled(4) => "Illegal instruction".to_owned(),
            Outcome::Signalled(9) => "killed (signal 9)".to_owned(),
            Outcome::Signalled(11) => "Segmentation fault (signal 11)".to_owned(),
            Outcome::Signalled(signal) => format!("ended by signal {signal}"),
            Outcome::NotStarted(kind) => format!("not started: {kind}"),
        };
        match printed.trim_end() {
            "" => ending,
            text => format!("{text}\n{ending}"),
        }
    }
}

/// The machine. All checks and the compiler search go through it.
pub trait System: Sync {
    fn platform(&self) -> Platform;
    /// The instruction set, in the spelling of `uname -m`.
    fn arch(&self) -> String;
    fn env(&self, name: &str) -> Option<String>;
    /// The names of all variables; values are asked for one by one.
    fn env_names(&self) -> Vec<String>;
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;
    fn space(&self, path: &Path) -> io::Result<Space>;
    fn user(&self) -> User;
    fn run(&self, command: &Command) -> Run;
    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()>;
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// A new empty folder below `parent`, or below the system's temporary folder.
    fn scratch_dir(&self, parent: Option<&Path>) -> io::Result<PathBuf>;

    fn exists(&self, path: &Path) -> bool {
        self.stat(path).is_ok()
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.stat(path).is_ok_and(|s| s.is_dir)
    }

    /// The text of a small file, lossily decoded; `None` when unreadable.
    fn read_text(&self, path: &str) -> Option<String> {
        let bytes = self.read(Path::new(path), 1 << 20).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A time limit for a healthy program on this machine as busy as it is now: a
    /// compiler that waits for its turn must not be taken for one that hangs.
    fn patience(&self, at_rest: Duration) -> Duration {
        let load = self.read_text("/proc/loadavg").and_then(|text| {
            let first = text.split(' ').next()?;
            first.parse::<f64>().ok()
        });
        let text = self.read_text("/proc/cpuinfo").unwrap_or_default();
        let processors = text.lines().filter(|l| l.starts_with("processor")).count();
        let waiting = load.unwrap_or(0.0) / processors.max(1) as f64;
        at_rest.mul_f64(waiting.clamp(1.0, 8.0))
    }

    /// Finds a program the way a shell does, keeping to executable files.
    fn which(&self, program: &str) -> Option<PathBuf> {
        let windows = self.platform() == Platform::Windows;
        if program.contains('/') || (windows && program.contains('\\')) {
            let path = PathBuf::from(program);
            let usable = self.stat(&path).is_ok_and(|s| windows || s.is_executable());
            return usable.then_some(path);
        }
        let separator = if windows { ';' } else { ':' };
        let suffixes: &[&str] = if windows {
            &["", ".exe", ".bat", ".cmd"]
        } else {
            &[""]
        };
        let search = self.env("PATH")?;
        for dir in search.split(separator).filter(|d| !d.is_empty()) {
            for suffix in suffixes {
                let path = Path::new(dir).join(format!("{program}{suffix}"));
                if self
                    .stat(&path)
                    .is_ok_and(|s| !s.is_dir && (windows || s.is_executable()))
                {
                    return Some(path);
                }
            }
        }
        None
    }
}
