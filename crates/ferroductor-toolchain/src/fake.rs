//! A machine in memory, for tests of checks and of the compiler search.
//!
//! What must hold: it never touches the real machine, and a program that was
//! not scripted fails as a program that is not installed; a compiler that
//! succeeds leaves its output.

use crate::system::{Command, Outcome, Platform, Run, Space, Stat, System, User};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// One scripted answer: a program name, a fragment its command line must hold, the result.
type Script = (String, String, Run);

/// A machine in memory; build it with the chaining methods.
#[derive(Debug)]
pub struct FakeSystem {
    platform: Platform,
    arch: String,
    env: BTreeMap<String, String>,
    files: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
    modes: BTreeMap<PathBuf, u32>,
    spaces: BTreeMap<PathBuf, Space>,
    user: User,
    scripts: Vec<Script>,
    serial: AtomicU32,
    /// Every command that was run, in order, as a shell line.
    pub history: Mutex<Vec<String>>,
}

impl Default for FakeSystem {
    fn default() -> Self {
        Self::new(Platform::Linux)
    }
}

/// The result of a program that exits with `code`.
pub fn exits(code: i32, stdout: &str, stderr: &str) -> Run {
    Run {
        outcome: Outcome::Exited(code),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
        elapsed: Duration::from_millis(1),
    }
}

/// The result of a program that ended in any other way.
pub fn ends(outcome: Outcome, stderr: &str) -> Run {
    Run {
        outcome,
        stdout: String::new(),
        stderr: stderr.to_owned(),
        elapsed: Duration::from_millis(1),
    }
}

impl FakeSystem {
    pub fn new(platform: Platform) -> Self {
        Self {
            platform,
            arch: "x86_64".to_owned(),
            env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            files: Mutex::default(),
            modes: BTreeMap::new(),
            spaces: BTreeMap::new(),
            user: User {
                uid: Some(1000),
                is_root: false,
            },
            scripts: Vec::new(),
            serial: AtomicU32::new(0),
            history: Mutex::default(),
        }
    }

    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    #[must_use]
    pub fn with_user(mut self, uid: u32) -> Self {
        self.user = User {
            uid: Some(uid),
            is_root: uid == 0,
        };
        self
    }

    #[must_use]
    pub fn with_arch(mut self, arch: &str) -> Self {
        self.arch = arch.to_owned();
        self
    }

    #[must_use]
    pub fn with_file(self, path: &str, content: &str) -> Self {
        if let Ok(mut files) = self.files.lock() {
            files.insert(PathBuf::from(path), content.as_bytes().to_vec());
        }
        self
    }

    /// A program on disk that answers as the scripts say.
    #[must_use]
    pub fn with_program(mut self, path: &str) -> Self {
        self.modes.insert(PathBuf::from(path), 0o755);
        self.with_file(path, "")
    }

    #[must_use]
    pub fn with_space(mut self, path: &str, space: Space) -> Self {
        self.spaces.insert(PathBuf::from(path), space);
        self
    }

    /// Answers `run` for commands of `program` whose line holds `fragment`;
    /// the last matching script wins.
    #[must_use]
    pub fn with_script(mut self, program: &str, fragment: &str, run: Run) -> Self {
        self.scripts
            .push((program.to_owned(), fragment.to_owned(), run));
        self
    }

    fn scripted(&self, command: &Command) -> Option<Run> {
        let line = command.to_line();
        let name = Path::new(&command.program)
            .file_name()?
            .to_string_lossy()
            .into_owned();
        let answers = |(program, fragment, _): &&Script| {
            (*program == command.program || *program == name) && line.contains(fragment.as_str())
        };
        self.scripts
            .iter()
            .rev()
            .find(answers)
            .map(|(_, _, run)| run.clone())
    }

    /// A compiler that succeeds leaves the file it was asked for.
    fn leave_output(&self, command: &Command) {
        let named = command.args.windows(2).find(|w| w[0] == "-o");
        let msvc = command.args.iter().find_map(|a| a.strip_prefix("/Fe"));
        let output = named.map(|w| w[1].as_str()).or(msvc);
        if let (Some(path), Ok(mut files)) = (output, self.files.lock()) {
            files.insert(PathBuf::from(path), Vec::new());
        }
    }

    fn write_refused(&self, path: &Path) -> Option<io::ErrorKind> {
        let space = self.space(path).ok()?;
        if space.read_only {
            Some(io::ErrorKind::ReadOnlyFilesystem)
        } else if space.free_bytes == 0 {
            Some(io::ErrorKind::StorageFull)
        } else {
            let mode = path.ancestors().find_map(|p| self.modes.get(p))?;
            (mode & 0o222 == 0).then_some(io::ErrorKind::PermissionDenied)
        }
    }

    /// Marks a folder as one this user may not write to.
    #[must_use]
    pub fn with_locked_dir(mut self, path: &str) -> Self {
        self.modes.insert(PathBuf::from(path), 0o555);
        self.with_file(&format!("{path}/.keep"), "")
    }
}

impl System for FakeSystem {
    fn platform(&self) -> Platform {
        self.platform
    }

    fn arch(&self) -> String {
        self.arch.clone()
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn env_names(&self) -> Vec<String> {
        self.env.keys().cloned().collect()
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let files = self
            .files
            .lock()
            .map_err(|_| io::Error::other("poisoned"))?;
        let content = files
            .get(path)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(content.iter().take(limit).copied().collect())
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let files = self
            .files
            .lock()
            .map_err(|_| io::Error::other("poisoned"))?;
        let mode = self.modes.get(path).copied();
        if let Some(content) = files.get(path) {
            let len = content.len() as u64;
            return Ok(Stat {
                is_dir: false,
                mode: mode.unwrap_or(0o644),
                uid: Some(0),
                len,
            });
        }
        if files.keys().any(|p| p.starts_with(path)) {
            return Ok(Stat {
                is_dir: true,
                mode: mode.unwrap_or(0o755),
                uid: Some(0),
                len: 0,
            });
        }
        Err(io::Error::from(io::ErrorKind::NotFound))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let files = self
            .files
            .lock()
            .map_err(|_| io::Error::other("poisoned"))?;
        let mut entries: Vec<PathBuf> = files
            .keys()
            .filter_map(|p| p.strip_prefix(path).ok())
            .filter_map(|rest| rest.components().next())
            .map(|first| path.join(first))
            .collect();
        entries.sort();
        entries.dedup();
        if entries.is_empty() {
            Err(io::Error::from(io::ErrorKind::NotFound))
        } else {
            Ok(entries)
        }
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.stat(path).map(|_| path.to_path_buf())
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let found = path.ancestors().find_map(|p| self.spaces.get(p));
        Ok(found.copied().unwrap_or(Space {
            free_bytes: 50 << 30,
            total_bytes: 100 << 30,
            free_inodes: 1_000_000,
            read_only: false,
            no_exec: false,
        }))
    }

    fn user(&self) -> User {
        self.user.clone()
    }

    fn run(&self, command: &Command) -> Run {
        if let Ok(mut history) = self.history.lock() {
            history.push(command.to_line());
        }
        let run = match self.scripted(command) {
            Some(run) => run,
            None if self.which(&command.program).is_some() => exits(0, "", ""),
            None => ends(
                Outcome::NotStarted(io::ErrorKind::NotFound),
                "No such file or directory",
            ),
        };
        if run.succeeded() {
            self.leave_output(command);
        }
        run
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        if let Some(kind) = self.write_refused(path) {
            return Err(io::Error::from(kind));
        }
        let mut files = self
            .files
            .lock()
            .map_err(|_| io::Error::other("poisoned"))?;
        files.insert(path.to_path_buf(), content.to_vec());
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.write(&path.join(".keep"), b"")
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut files = self
            .files
            .lock()
            .map_err(|_| io::Error::other("poisoned"))?;
        files.retain(|p, _| !p.starts_with(path));
        Ok(())
    }

    fn scratch_dir(&self, parent: Option<&Path>) -> io::Result<PathBuf> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let path = parent
            .unwrap_or(Path::new("/tmp"))
            .join(format!("scratch{serial}"));
        self.create_dir_all(&path)?;
        Ok(path)
    }
}
