//! [`System`] for the machine this process runs on.
//!
//! What must hold: a child that outlives its time limit is killed together
//! with its process group; no more than [`OUTPUT_LIMIT`] bytes of each stream
//! are kept; the process itself never reads from the terminal.

use crate::system::{Command, Outcome, Platform, Run, Space, Stat, System, User};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The most bytes of one output stream that are kept.
pub const OUTPUT_LIMIT: usize = 1 << 20;

/// The machine this process runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealSystem;

impl System for RealSystem {
    fn platform(&self) -> Platform {
        if cfg!(target_os = "windows") {
            Platform::Windows
        } else if cfg!(target_os = "macos") {
            Platform::MacOs
        } else {
            Platform::Linux
        }
    }

    fn arch(&self) -> String {
        std::env::consts::ARCH.to_owned()
    }

    // The one place where the machine's environment is read.
    #[allow(clippy::disallowed_methods)]
    fn env(&self, name: &str) -> Option<String> {
        // `var_os` panics on no input only when the name is sane.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var_os(name).map(|v| v.to_string_lossy().into_owned())
    }

    #[allow(clippy::disallowed_methods)]
    fn env_names(&self) -> Vec<String> {
        std::env::vars_os()
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect()
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        fs::File::open(path)?
            .take(limit as u64)
            .read_to_end(&mut content)?;
        Ok(content)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        fs::metadata(path).map(|meta| stat_of(&meta))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            entries.push(entry?.path());
        }
        entries.sort();
        Ok(entries)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        space_of(path)
    }

    fn user(&self) -> User {
        current_user()
    }

    fn run(&self, command: &Command) -> Run {
        let start = Instant::now();
        match spawn(command) {
            Ok(child) => watch(child, command.time_limit, start),
            Err(error) => Run {
                outcome: Outcome::NotStarted(error.kind()),
                stdout: String::new(),
                stderr: error.to_string(),
                elapsed: start.elapsed(),
            },
        }
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        fs::write(path, content)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn scratch_dir(&self, parent: Option<&Path>) -> io::Result<PathBuf> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let base = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        // `create_dir` fails on an existing folder, so another process cannot plant one.
        for _ in 0..64 {
            let serial = COUNTER.fetch_add(1, Ordering::Relaxed);
            let nanos = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |d| d.subsec_nanos());
            let path = base.join(format!(
                "ferroductor-doctor-{}-{serial}-{nanos:x}",
                std::process::id()
            ));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists))
    }
}

#[cfg(unix)]
fn stat_of(meta: &fs::Metadata) -> Stat {
    use std::os::unix::fs::MetadataExt;
    Stat {
        is_dir: meta.is_dir(),
        mode: meta.mode() & 0o7777,
        uid: Some(meta.uid()),
        len: meta.len(),
    }
}

#[cfg(not(unix))]
fn stat_of(meta: &fs::Metadata) -> Stat {
    Stat {
        is_dir: meta.is_dir(),
        mode: 0o755,
        uid: None,
        len: meta.len(),
    }
}

#[cfg(unix)]
fn space_of(path: &Path) -> io::Result<Space> {
    use rustix::fs::StatVfsMountFlags;
    let vfs = rustix::fs::statvfs(path)?;
    // Not every system names the no-exec flag; Linux does, and there it matters.
    #[cfg(target_os = "linux")]
    let no_exec = vfs.f_flag.contains(StatVfsMountFlags::NOEXEC);
    #[cfg(not(target_os = "linux"))]
    let no_exec = false;
    Ok(Space {
        free_bytes: vfs.f_bavail.saturating_mul(vfs.f_frsize),
        total_bytes: vfs.f_blocks.saturating_mul(vfs.f_frsize),
        free_inodes: vfs.f_favail,
        read_only: vfs.f_flag.contains(StatVfsMountFlags::RDONLY),
        no_exec,
    })
}

#[cfg(not(unix))]
fn space_of(_path: &Path) -> io::Result<Space> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(unix)]
fn current_user() -> User {
    let uid = rustix::process::geteuid();
    User {
        uid: Some(uid.as_raw()),
        is_root: uid.is_root(),
    }
}

#[cfg(not(unix))]
fn current_user() -> User {
    User {
        uid: None,
        is_root: false,
    }
}

fn spawn(command: &Command) -> io::Result<Child> {
    let mut child = std::process::Command::new(&command.program);
    child
        .args(&command.args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(cwd) = &command.cwd {
        child.current_dir(cwd);
    }
    for (name, value) in &command.env {
        match value {
            Some(value) => child.env(name, value),
            None => child.env_remove(name),
        };
    }
    // A group of its own, so that compilers started by a driver die with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut child, 0);
    child.spawn()
}

fn watch(mut child: Child, limit: Duration, start: Instant) -> Run {
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let outcome = wait(&mut child, limit, start);
    // Grandchildren that escaped the group may hold the pipes open: do not wait for them.
    let grace = Duration::from_millis(500);
    let text = |stream: Option<mpsc::Receiver<Vec<u8>>>| {
        stream
            .and_then(|s| s.recv_timeout(grace).ok())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    };
    Run {
        outcome,
        stdout: text(stdout),
        stderr: text(stderr),
        elapsed: start.elapsed(),
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut buffer = [0_u8; 16 * 1024];
        while let Ok(count) = stream.read(&mut buffer) {
            if count == 0 {
                break;
            }
            let room = OUTPUT_LIMIT.saturating_sub(kept.len());
            kept.extend_from_slice(&buffer[..count.min(room)]);
        }
        // The receiver is gone when the time limit passed; nothing to do then.
        let _ = send.send(kept);
    });
    receive
}

fn wait(child: &mut Child, limit: Duration, start: Instant) -> Outcome {
    let mut pause = Duration::from_millis(1);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return outcome_of(status),
            Ok(None) if start.elapsed() < limit => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Ok(None) => {
                kill(child);
                return Outcome::TimedOut;
            }
            Err(error) => return Outcome::NotStarted(error.kind()),
        }
    }
}

#[cfg(unix)]
fn kill(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        // The group may be gone already; then only the child is left to reap.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(not(unix))]
fn kill(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn outcome_of(status: std::process::ExitStatus) -> Outcome {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Outcome::Signalled(signal);
    }
    Outcome::Exited(status.code().unwrap_or(-1))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_hanging_process_is_killed_with_its_children() {
        let command = Command::new("sh")
            .args(["-c", "sleep 30 & sleep 30"])
            .time_limit(Duration::from_millis(100));
        let run = RealSystem.run(&command);
        assert_eq!(run.outcome, Outcome::TimedOut);
        assert!(run.elapsed < Duration::from_secs(5));
    }

    #[test]
    fn output_is_bounded() {
        let command = Command::new("sh")
            .args(["-c", "head -c 3000000 /dev/zero | tr '\\0' x"])
            .time_limit(Duration::from_secs(300));
        let run = RealSystem.run(&command);
        assert!(run.succeeded());
        assert_eq!(run.stdout.len(), OUTPUT_LIMIT);
    }

    #[test]
    fn a_missing_program_is_a_value() {
        let run = RealSystem.run(&Command::new("no-such-program-here"));
        assert_eq!(run.outcome, Outcome::NotStarted(io::ErrorKind::NotFound));
    }
}
