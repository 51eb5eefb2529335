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
    /// What it is for: `inductor`, `triton`, `torch-extensions`, `temporary`, `shared-memory`.
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
    /// A folder inside that another user owns and this one may not write to.
    pub foreign: Option<String>,
}

/// Less than this stops a compilation.
pub const LEAST_FREE: u64 = 64 << 20;

impl Folder {
    /// Whether compiled code cannot be written to it or loaded from it.
    pub fn is_unusable(&self) -> bool {
        let full = self.free_bytes.is_some_and(|b| b < LEAST_FREE);
        let network =
            self.purpose != "temporary" && self.file_system.as_deref().is_some_and(is_network);
        let closed = self.write_error.is_some() || self.foreign.is_some();
        self.read_only || self.no_exec || full || network || closed
    }
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
    let set = |name: &str| system.env(name).filter(|v| !v.is_empty());
    let windows = system.platform() == Platform::Windows;
    let (home_variable, temporary_variable) = if windows {
        ("USERPROFILE", "TEMP")
    } else {
        ("HOME", "TMPDIR")
    };
    let root = if windows { "C:/" } else { "/" };
    let home = set(home_variable).unwrap_or_else(|| root.to_owned());
    let home = home.trim_end_matches(['/', '\\']);
    let temporary = set(temporary_variable).unwrap_or_else(|| format!("{root}tmp"));
    let or = |name: &str, default: String| set(name).unwrap_or(default);
    let inductor = or(
        "TORCHINDUCTOR_CACHE_DIR",
        format!("{temporary}/torchinductor_{user_name}"),
    );
    let triton = or("TRITON_CACHE_DIR", format!("{home}/.triton/cache"));
    let extensions = or(
        "TORCH_EXTENSIONS_DIR",
        if windows {
            format!("{home}/AppData/Local/torch_extensions/torch_extensions/Cache")
        } else {
            format!("{home}/.cache/torch_extensions")
        },
    );
    let mut table = vec![
        ("temporary", temporary_variable, temporary),
        ("inductor", "TORCHINDUCTOR_CACHE_DIR", inductor),
        ("triton", "TRITON_CACHE_DIR", triton),
        ("torch-extensions", "TORCH_EXTENSIONS_DIR", extensions),
    ];
    // Python's semaphores and some OpenMP runtimes live there.
    if system.platform() == Platform::Linux && system.is_dir(Path::new(SHARED_MEMORY)) {
        table.push(("shared-memory", "", SHARED_MEMORY.to_owned()));
    }
    let mounts = system.read_text("/proc/self/mounts").unwrap_or_default();
    table
        .into_iter()
        .map(|(purpose, variable, path)| folder(system, purpose, variable, path, &mounts))
        .collect()
}

const SHARED_MEMORY: &str = "/dev/shm";

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
        foreign: foreign_folder(system, purpose, Path::new(&path)),
        path,
        write_error,
    }
}

/// A folder in a cache that was made by another user, such as by root in an
/// earlier run, and is closed to this one.
fn foreign_folder(system: &dyn System, purpose: &str, cache: &Path) -> Option<String> {
    // The temporary folder belongs to everybody; what others have there is theirs.
    if ["temporary", "shared-memory"].contains(&purpose) || system.user().is_root {
        return None;
    }
    let own = system.user().uid?;
    let entries = system.list(cache).unwrap_or_default();
    let of_others = entries.into_iter().filter(|path| {
        let stat = system.stat(path);
        stat.is_ok_and(|s| s.is_dir && s.uid.is_some_and(|uid| uid != own))
    });
    of_others
        .take(64)
        .find(|path| try_writing(system, path) == Err(WriteError::PermissionDenied))
        .map(|path| path.to_string_lossy().into_owned())
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
    let set = |name: &str| system.env(name).filter(|v| !v.is_empty());
    let candidates = [
        set("XDG_CACHE_HOME"),
        set("HOME").map(|h| format!("{h}/.cache")),
        set("LOCALAPPDATA"),
        Some("/var/tmp".to_owned()),
        Some("/tmp".to_owned()),
        Some("/dev/shm".to_owned()),
    ];
    let mut candidates = candidates.into_iter().flatten().map(PathBuf::from);
    candidates.find(|dir| {
        let existing = nearest_existing(system, dir);
        let space = system.space(&existing).ok();
        let roomy = space.is_none_or(|s| !s.no_exec && !s.read_only && s.free_bytes > 256 << 20);
        // Only `.cache` in a home may have to be made.
        let near = existing == *dir || dir.parent() == Some(&existing);
        let plain = !dir.to_string_lossy().contains(' ');
        roomy
            && near
            && plain
            && try_writing(system, &existing).is_ok()
            && runs_programs(system, &existing)
    })
}

/// Whether a folder, or the existing one it would be made in, takes files.
pub fn is_writable(system: &dyn System, dir: &Path) -> bool {
    try_writing(system, &nearest_existing(system, dir)).is_ok()
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
