//! The folders where compiled code is kept and temporary files are written.
//!
//! What must hold: a folder is judged by trying it where it exists, or at its
//! nearest existing parent; nothing stays behind.

use ferroductor_toolchain::{Command, Platform, System};
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One folder and what can be done in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Folder {
    /// What it is for: `inductor`, `triton`, `torch-extensions`, `temporary`.
    pub purpose: &'static str,
    pub path: String,
    /// Whether a variable names it, and which.
    pub variable: &'static str,
    pub free_bytes: Option<u64>,
    pub free_inodes: Option<u64>,
    pub read_only: bool,
    pub no_exec: bool,
    pub file_system: Option<String>,
    /// Why writing failed, if it did.
    pub write_error: Option<WriteError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteError {
    PermissionDenied,
    ReadOnly,
    NoSpace,
    Other,
}

/// The folders torch, Triton and the compilers will use.
pub fn examine(system: &dyn System, user_name: &str) -> Vec<Folder> {
    let home = system.env("HOME").unwrap_or_else(|| "/".to_owned());
    let temporary = system
        .env("TMPDIR")
        .filter(|t| !t.is_empty())
        .unwrap_or_else(|| "/tmp".to_owned());
    let or = |name: &str, default: String| {
        system
            .env(name)
            .filter(|v| !v.is_empty())
            .unwrap_or(default)
    };
    let table = [
        ("temporary", "TMPDIR", temporary.clone()),
        (
            "inductor",
            "TORCHINDUCTOR_CACHE_DIR",
            or(
                "TORCHINDUCTOR_CACHE_DIR",
                format!("{temporary}/torchinductor_{user_name}"),
            ),
        ),
        (
            "triton",
            "TRITON_CACHE_DIR",
            or("TRITON_CACHE_DIR", format!("{home}/.triton/cache")),
        ),
        (
            "torch-extensions",
            "TORCH_EXTENSIONS_DIR",
            or(
                "TORCH_EXTENSIONS_DIR",
                format!("{home}/.cache/torch_extensions"),
            ),
        ),
    ];
    let mounts = system.read_text("/proc/self/mounts").unwrap_or_default();
    table
        .into_iter()
        .map(|(purpose, variable, path)| folder(system, purpose, variable, path, &mounts))
        .collect()
}

fn folder(
    system: &dyn System,
    purpose: &'static str,
    variable: &'static str,
    path: String,
    mounts: &str,
) -> Folder {
    let existing = nearest_existing(system, Path::new(&path));
    let space = system.space(&existing).ok();
    let write_error = try_writing(system, &existing).err();
    let mount = mount_of(mounts, &existing);
    Folder {
        purpose,
        path,
        variable,
        free_bytes: space.map(|s| s.free_bytes),
        // Some file systems count no inodes and report none free.
        free_inodes: space.map(|s| s.free_inodes).filter(|n| *n > 0),
        read_only: space.is_some_and(|s| s.read_only),
        no_exec: space.is_some_and(|s| s.no_exec)
            || mount
                .as_ref()
                .is_some_and(|(_, options)| options.split(',').any(|o| o == "noexec")),
        file_system: mount.map(|(kind, _)| kind),
        write_error,
    }
}

fn nearest_existing(system: &dyn System, path: &Path) -> PathBuf {
    path.ancestors()
        .find(|p| system.is_dir(p))
        .unwrap_or(Path::new("/"))
        .to_path_buf()
}

fn try_writing(system: &dyn System, dir: &Path) -> Result<(), WriteError> {
    let classify = |error: io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied => WriteError::PermissionDenied,
        io::ErrorKind::ReadOnlyFilesystem => WriteError::ReadOnly,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WriteError::NoSpace,
        _ => WriteError::Other,
    };
    let scratch = system.scratch_dir(Some(dir)).map_err(classify)?;
    // More than a block, because a full disk still takes empty files.
    let result = system
        .write(&scratch.join("probe"), &[b'x'; 64 * 1024])
        .map_err(classify);
    // Removal can only fail where writing did.
    let _ = system.remove_dir_all(&scratch);
    result
}

/// Type and options of the mount that holds a path.
fn mount_of(mounts: &str, path: &Path) -> Option<(String, String)> {
    let mut best: Option<(usize, String, String)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(_), Some(point), Some(kind), Some(options)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let point = point.replace("\\040", " ");
        let longer = best
            .as_ref()
            .is_none_or(|(length, _, _)| point.len() >= *length);
        if path.starts_with(&point) && longer {
            best = Some((point.len(), kind.to_owned(), options.to_owned()));
        }
    }
    best.map(|(_, kind, options)| (kind, options))
}

/// Whether a file system is shared between machines.
pub fn is_network(file_system: &str) -> bool {
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "fuse.sshfs",
        "9p",
        "afs",
    ]
    .contains(&file_system)
}

/// A folder that can be written to and executed from, for caches.
pub fn find_usable(system: &dyn System) -> Option<PathBuf> {
    let variables = ["XDG_CACHE_HOME", "HOME"]
        .iter()
        .filter_map(|n| system.env(n))
        .filter(|v| !v.is_empty());
    let fixed = ["/var/tmp", "/tmp", "/dev/shm"]
        .iter()
        .map(|s| (*s).to_owned());
    let current = std::iter::once(".".to_owned());
    let candidates: Vec<String> = variables.chain(fixed).chain(current).collect();
    candidates.into_iter().map(PathBuf::from).find(|dir| {
        let existing = nearest_existing(system, dir);
        let space = system.space(&existing).ok();
        let roomy = space.is_none_or(|s| !s.no_exec && !s.read_only && s.free_bytes > 256 << 20);
        roomy
            && existing == *dir
            && try_writing(system, &existing).is_ok()
            && runs_programs(system, &existing)
    })
}

/// Whether a program runs from a folder.
fn runs_programs(system: &dyn System, dir: &Path) -> bool {
    if system.platform() != Platform::Linux {
        return true;
    }
    let Ok(scratch) = system.scratch_dir(Some(dir)) else {
        return false;
    };
    let copy = scratch.join("true").to_string_lossy().into_owned();
    let limit = Duration::from_secs(5);
    let copied = system
        .run(
            &Command::new("cp")
                .args(["/bin/true", &copy])
                .time_limit(limit),
        )
        .succeeded();
    let ran = system
        .run(&Command::new(copy).time_limit(limit))
        .succeeded();
    let _ = system.remove_dir_all(&scratch);
    // Without `cp` or `/bin/true` nothing is known against the folder.
    ran || !copied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_counts() {
        let mounts = "overlay / overlay rw 0 0\ntmpfs /tmp tmpfs rw,nosuid,noexec 0 0\n";
        let (kind, options) = mount_of(mounts, Path::new("/tmp/x")).expect("a mount");
        assert_eq!(kind, "tmpfs");
        assert!(options.contains("noexec"));
        assert_eq!(
            mount_of(mounts, Path::new("/tmpfoo")).expect("a mount").0,
            "overlay"
        );
    }
}
