//! Kernels through the C++ emitter: printed, compiled by the user's compiler, loaded.
//!
//! Objects are kept in the cache folder under a name that stands for text, flags and compiler, so
//! a second process starts none. What must hold: the folder belongs to the user alone.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ferroductor_codegen::cpp;
use ferroductor_ir::kernel::{Kernel, Target};
use ferroductor_toolchain::{AttemptResult, Cxx, CxxSearch, RealSystem, find_cxx};

use crate::error::DriverError;
use crate::kernels::Code;
use crate::options::Options;

/// Compiles and loads kernels as one translation unit.
pub(crate) fn compile<'k>(
    batch: &[(&'k str, &Kernel)],
    target: &Target,
    options: &Options,
) -> Result<Vec<(&'k str, Code)>, DriverError> {
    let named = named(batch);
    let text = cpp::print(&named, target)?;
    let compiler = compiler()?;
    let flags = cpp::flags(target);
    let folder = folder(options)?;
    let name = format!(
        "kernels_{}",
        digest(&(&text, &flags, &compiler.version_line))
    );
    let object = folder.join(format!("{name}.so"));
    let object = if object.exists() {
        object
    } else {
        cpp::compile::compile(&compiler.program, &flags, &text, &folder, &name)?
    };
    // SAFETY: the name stands for this very text, these flags and this compiler, in a folder that
    // only the user can write to; the target was checked against this CPU.
    let loaded = Arc::new(unsafe { cpp::compile::load(&object)? });
    batch
        .iter()
        .zip(&named)
        .map(|((key, _), (symbol, _))| {
            let function = loaded.get(symbol).ok_or_else(|| {
                DriverError::Internal(format!("{} lacks {symbol}", object.display()))
            })?;
            Ok((
                *key,
                Code {
                    owner: loaded.clone(),
                    function,
                },
            ))
        })
        .collect()
}

/// The text that [`compile`] would compile, for dumps.
pub(crate) fn text(kernels: &[Kernel], target: &Target) -> Result<String, DriverError> {
    let batch: Vec<(&str, &Kernel)> = kernels.iter().map(|k| ("", k)).collect();
    Ok(cpp::print(&named(&batch), target)?)
}

/// Names that people recognise and that C++ accepts.
fn named<'m>(batch: &[(&str, &'m Kernel)]) -> Vec<(String, &'m Kernel)> {
    batch
        .iter()
        .enumerate()
        .map(|(at, (_, kernel))| {
            let name: String = kernel
                .name
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            (format!("k{at}_{name}"), *kernel)
        })
        .collect()
}

/// The compiler of this process, found once.
fn compiler() -> Result<&'static Cxx, DriverError> {
    static SEARCH: OnceLock<CxxSearch> = OnceLock::new();
    let search = SEARCH.get_or_init(|| find_cxx(&RealSystem));
    search.cxx.as_ref().ok_or_else(|| {
        let tried: Vec<String> = search
            .attempts
            .iter()
            .filter(|a| a.result != AttemptResult::NotFound)
            .map(|a| format!("{}: {:?}", a.name, a.result))
            .collect();
        let tried = if tried.is_empty() {
            "none is installed".into()
        } else {
            tried.join("; ")
        };
        DriverError::NoCompiler(tried)
    })
}

/// Where objects are kept: the option, or the user's cache folder.
fn folder(options: &Options) -> Result<PathBuf, DriverError> {
    let root = options.cache_dir.clone().unwrap_or_else(default_cache);
    let folder = root.join("cpp");
    let failed = |error| DriverError::Cache {
        path: folder.clone(),
        error,
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(failed)?;
    private(&folder).map_err(failed)?;
    Ok(folder)
}

/// Refuses a folder that others may have put code into.
fn private(folder: &Path) -> std::io::Result<()> {
    let status = std::fs::metadata(folder)?;
    // SAFETY: takes nothing and cannot fail.
    let user = unsafe { libc::geteuid() };
    if status.uid() == user && status.permissions().mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(std::io::Error::new(
        std::io::ErrorKind::PermissionDenied,
        "the folder belongs to or can be written by another user; code is not loaded from there",
    ))
}

// The user's cache folder is named by the environment.
#[allow(clippy::disallowed_methods)]
fn default_cache() -> PathBuf {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("ferroductor")
}

/// 128 bits that stand for a value.
fn digest(value: &impl Hash) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, env!("CARGO_PKG_VERSION")).hash(&mut hasher);
        value.hash(&mut hasher);
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(1), half(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_tell_values_apart() {
        assert_eq!(digest(&("a", 1)), digest(&("a", 1)));
        assert_ne!(digest(&("a", 1)), digest(&("a", 2)));
        assert_eq!(digest(&"").len(), 32);
    }

    #[test]
    fn a_folder_that_others_write_to_is_refused() {
        let folder = std::env::temp_dir().join(format!("ferroductor-test-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let set =
            |mode| std::fs::set_permissions(&folder, PermissionsExt::from_mode(mode)).unwrap();
        set(0o700);
        assert!(private(&folder).is_ok());
        set(0o777);
        assert!(private(&folder).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
