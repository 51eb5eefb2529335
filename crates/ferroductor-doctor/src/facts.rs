//! Facts about the world outside that change with time, with their date.
//!
//! What must hold: every table says when it was last checked, and reports show
//! that date, so that a reader can tell old advice from new.

use crate::platform::Family;

/// When the tables below were last checked.
pub const CHECKED: &str = "2026-11";

/// One torch release line and the Pythons it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TorchSupport {
    pub torch: (u32, u32),
    /// Minor versions of Python 3 for which wheels exist.
    pub python: (u32, u32),
    /// The last minor version of Python 3 that `torch.compile` accepts.
    pub compile_up_to: u32,
}

/// From torch's release notes and wheel metadata.
pub const TORCH_SUPPORT: &[TorchSupport] = &[
    TorchSupport {
        torch: (2, 0),
        python: (8, 11),
        compile_up_to: 10,
    },
    TorchSupport {
        torch: (2, 1),
        python: (8, 11),
        compile_up_to: 11,
    },
    TorchSupport {
        torch: (2, 2),
        python: (8, 12),
        compile_up_to: 11,
    },
    TorchSupport {
        torch: (2, 3),
        python: (8, 12),
        compile_up_to: 11,
    },
    TorchSupport {
        torch: (2, 4),
        python: (8, 12),
        compile_up_to: 12,
    },
    TorchSupport {
        torch: (2, 5),
        python: (9, 13),
        compile_up_to: 12,
    },
    TorchSupport {
        torch: (2, 6),
        python: (9, 13),
        compile_up_to: 13,
    },
    TorchSupport {
        torch: (2, 7),
        python: (9, 13),
        compile_up_to: 13,
    },
    TorchSupport {
        torch: (2, 8),
        python: (9, 13),
        compile_up_to: 13,
    },
    TorchSupport {
        torch: (2, 9),
        python: (10, 14),
        compile_up_to: 13,
    },
    TorchSupport {
        torch: (2, 10),
        python: (10, 14),
        compile_up_to: 14,
    },
    TorchSupport {
        torch: (2, 11),
        python: (10, 14),
        compile_up_to: 14,
    },
    TorchSupport {
        torch: (2, 12),
        python: (10, 14),
        compile_up_to: 14,
    },
    TorchSupport {
        torch: (2, 13),
        python: (10, 14),
        compile_up_to: 14,
    },
    TorchSupport {
        torch: (2, 14),
        python: (10, 14),
        compile_up_to: 14,
    },
    TorchSupport {
        torch: (2, 15),
        python: (11, 15),
        compile_up_to: 15,
    },
];

/// `(2, 8)` from `2.8.0+cu128`.
pub fn torch_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim().split('.');
    let major = parts.next()?.parse().ok()?;
    let minor: String = parts
        .next()?
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    Some((major, minor.parse().ok()?))
}

/// `13` from `3.13` or `3.13.1`.
pub fn python_minor(version: &str) -> Option<u32> {
    version.strip_prefix("3.")?.split('.').next()?.parse().ok()
}

pub fn torch_support(version: &str) -> Option<&'static TorchSupport> {
    let wanted = torch_minor(version)?;
    TORCH_SUPPORT.iter().find(|s| s.torch == wanted)
}

/// The first torch whose `torch.compile` accepts this Python.
pub fn first_torch_compiling_on(python: &str) -> Option<String> {
    let minor = python_minor(python)?;
    let row = TORCH_SUPPORT
        .iter()
        .find(|s| s.compile_up_to >= minor && s.python.0 <= minor)?;
    Some(format!("{}.{}", row.torch.0, row.torch.1))
}

/// The Python a distribution release ships as `python3`.
pub fn distro_python(family: Family, version: &str) -> Option<&'static str> {
    archive_pythons(family, version)?.first().copied()
}

/// Whether the archive of a release has this Python; unknown for a release that
/// is not in the table, and for distributions that carry many.
pub fn archive_has_python(family: Family, version: &str, python: &str) -> Option<bool> {
    Some(archive_pythons(family, version)?.contains(&python))
}

/// The Pythons in the own archive of a release; its `python3` comes first.
fn archive_pythons(family: Family, version: &str) -> Option<&'static [&'static str]> {
    let release = release_of(family, version);
    Some(match (family, release) {
        (Family::Ubuntu, "20.04") => &["3.8", "3.9"],
        (Family::Ubuntu, "22.04") => &["3.10", "3.11"],
        (Family::Ubuntu, "24.04") => &["3.12"],
        (Family::Ubuntu, "25.04") => &["3.13"],
        (Family::Ubuntu, "25.10") => &["3.13", "3.14"],
        (Family::Ubuntu, "26.04") => &["3.14"],
        (Family::Debian, "11") => &["3.9"],
        (Family::Debian, "12") => &["3.11"],
        (Family::Debian, "13") => &["3.13"],
        (Family::Alpine, "3.18" | "3.19") => &["3.11"],
        (Family::Alpine, "3.20" | "3.21" | "3.22") => &["3.12"],
        _ => return None,
    })
}

/// The part of a version that names the release: `12` of `12.5`, `3.20` of `3.20.3`.
fn release_of(family: Family, version: &str) -> &str {
    let parts = match family {
        Family::Ubuntu | Family::Alpine => 2,
        _ => 1,
    };
    let end = version.match_indices('.').nth(parts - 1).map(|(at, _)| at);
    end.map_or(version, |end| &version[..end])
}

/// The newest GCC in the own archive of a release, where versions stand side by side.
pub fn newest_gcc(family: Family, version: &str) -> Option<u32> {
    Some(match (family, release_of(family, version)) {
        (Family::Ubuntu, "20.04") => 10,
        (Family::Ubuntu, "22.04") => 12,
        (Family::Ubuntu, "24.04" | "25.04") => 14,
        (Family::Ubuntu, "25.10" | "26.04") => 15,
        (Family::Debian, "11") => 10,
        (Family::Debian, "12") => 12,
        (Family::Debian, "13") => 14,
        _ => return None,
    })
}

/// The release of Ubuntu that its derivatives name by its code word.
pub fn ubuntu_release(codename: &str) -> Option<&'static str> {
    Some(match codename {
        "focal" => "20.04",
        "jammy" => "22.04",
        "noble" => "24.04",
        "plucky" => "25.04",
        "questing" => "25.10",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torch_versions_are_read() {
        assert_eq!(torch_minor("2.15.0+cpu"), Some((2, 15)));
        assert_eq!(torch_minor("2.9.0.dev20250701+cu128"), Some((2, 9)));
        assert_eq!(torch_minor("main"), None);
    }

    #[test]
    fn the_first_torch_for_a_python() {
        assert_eq!(first_torch_compiling_on("3.12").as_deref(), Some("2.4"));
        assert_eq!(first_torch_compiling_on("3.13.1").as_deref(), Some("2.6"));
        assert_eq!(first_torch_compiling_on("3.11").as_deref(), Some("2.1"));
        assert_eq!(first_torch_compiling_on("4.0"), None);
    }

    #[test]
    fn archives_are_known_by_release_and_point_release() {
        assert_eq!(distro_python(Family::Alpine, "3.20.3"), Some("3.12"));
        assert_eq!(distro_python(Family::Debian, "12.5"), Some("3.11"));
        let has = |version, python| archive_has_python(Family::Ubuntu, version, python);
        assert_eq!(has("22.04", "3.11"), Some(true));
        assert_eq!(has("22.04.5", "3.13"), Some(false));
        assert_eq!(has("99.04", "3.13"), None);
        assert_eq!(archive_has_python(Family::Fedora, "42", "3.13"), None);
    }
}
