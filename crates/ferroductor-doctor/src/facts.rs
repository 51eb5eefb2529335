//! Facts about the world outside that change with time, with their date.
//!
//! What must hold: every table says when it was last checked, and reports show
//! that date, so that a reader can tell old advice from new.

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
pub fn distro_python(family: &str, version: &str) -> Option<&'static str> {
    Some(match (family, version) {
        ("ubuntu", "20.04") => "3.8",
        ("ubuntu", "22.04") => "3.10",
        ("ubuntu", "24.04") => "3.12",
        ("ubuntu", "25.04" | "25.10") => "3.13",
        ("ubuntu", "26.04") => "3.14",
        ("debian", "11") => "3.9",
        ("debian", "12") => "3.11",
        ("debian", "13") => "3.13",
        ("alpine", "3.19" | "3.20") => "3.11",
        ("alpine", "3.21" | "3.22") => "3.12",
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
}
