//! Systems as fixes see them: family, version, where the interpreter comes from.
//!
//! What must hold: a guess says only what is known; an unknown system gets
//! the fixes of all families, never those of a wrong one.

use serde::Serialize;

/// A family of systems that share a package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    Debian,
    Ubuntu,
    Fedora,
    Rhel,
    OpenSuse,
    Arch,
    Alpine,
    NixOs,
    MacOs,
    Windows,
}

impl Family {
    pub const ALL: &'static [Family] = &[
        Family::Ubuntu,
        Family::Debian,
        Family::Fedora,
        Family::Rhel,
        Family::OpenSuse,
        Family::Arch,
        Family::Alpine,
        Family::NixOs,
        Family::MacOs,
        Family::Windows,
    ];

    pub fn id(self) -> &'static str {
        match self {
            Family::Debian => "debian",
            Family::Ubuntu => "ubuntu",
            Family::Fedora => "fedora",
            Family::Rhel => "rhel",
            Family::OpenSuse => "opensuse",
            Family::Arch => "arch",
            Family::Alpine => "alpine",
            Family::NixOs => "nixos",
            Family::MacOs => "macos",
            Family::Windows => "windows",
        }
    }

    /// The name people use; the same in every language.
    pub fn name(self) -> &'static str {
        match self {
            Family::Debian => "Debian",
            Family::Ubuntu => "Ubuntu",
            Family::Fedora => "Fedora",
            Family::Rhel => "RHEL, Rocky, AlmaLinux, CentOS Stream",
            Family::OpenSuse => "openSUSE",
            Family::Arch => "Arch Linux",
            Family::Alpine => "Alpine",
            Family::NixOs => "NixOS",
            Family::MacOs => "macOS",
            Family::Windows => "Windows",
        }
    }

    pub fn is_linux(self) -> bool {
        !matches!(self, Family::MacOs | Family::Windows)
    }

    /// The family an `ID` or `ID_LIKE` word of os-release belongs to.
    pub fn from_os_release_id(id: &str) -> Option<Family> {
        Some(match id {
            "ubuntu" | "linuxmint" | "pop" | "elementary" | "neon" | "zorin" => Family::Ubuntu,
            "debian" | "raspbian" | "kali" | "devuan" => Family::Debian,
            "fedora" => Family::Fedora,
            "rhel" | "centos" | "rocky" | "almalinux" | "ol" | "amzn" | "scientific" => {
                Family::Rhel
            }
            "opensuse" | "opensuse-leap" | "opensuse-tumbleweed" | "suse" | "sles" => {
                Family::OpenSuse
            }
            "arch" | "archlinux" | "manjaro" | "endeavouros" | "artix" => Family::Arch,
            "alpine" => Family::Alpine,
            "nixos" => Family::NixOs,
            _ => return None,
        })
    }
}

/// Where a Python interpreter comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    System,
    /// `/usr/local`: an official container image, or built from source.
    UsrLocal,
    Deadsnakes,
    Pyenv,
    Uv,
    Conda,
    PythonOrg,
    Homebrew,
    /// The one that Apple's command line tools bring.
    Xcode,
    Nix,
    /// A Windows distribution without installer, as ComfyUI ships.
    Embedded,
}

impl Origin {
    pub fn id(self) -> &'static str {
        match self {
            Origin::System => "system",
            Origin::UsrLocal => "usr-local",
            Origin::Deadsnakes => "deadsnakes",
            Origin::Pyenv => "pyenv",
            Origin::Uv => "uv",
            Origin::Conda => "conda",
            Origin::PythonOrg => "python-org",
            Origin::Homebrew => "homebrew",
            Origin::Xcode => "xcode",
            Origin::Nix => "nix",
            Origin::Embedded => "embedded",
        }
    }

    pub const ALL: &'static [Origin] = &[
        Origin::System,
        Origin::UsrLocal,
        Origin::Deadsnakes,
        Origin::Pyenv,
        Origin::Uv,
        Origin::Conda,
        Origin::PythonOrg,
        Origin::Homebrew,
        Origin::Xcode,
        Origin::Nix,
        Origin::Embedded,
    ];

    /// System folders appear in nearly every log, a pyenv folder only with pyenv.
    pub fn tells_more_than_paths(self) -> bool {
        !matches!(self, Origin::System | Origin::UsrLocal)
    }
}

/// What is known of a system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SystemGuess {
    pub family: Option<Family>,
    pub version: Option<String>,
    pub origin: Option<Origin>,
    pub arch: Option<String>,
    pub python: Option<String>,
    /// The whole version, where the interpreter itself was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python_exact: Option<String>,
    pub container: bool,
    pub wsl: bool,
    /// All rights, none, or unknown; on an examined machine unknown means that
    /// there is a program that may give them.
    pub root: Option<bool>,
    /// The script that sets up Microsoft's compiler, where it is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vcvars: Option<String>,
    /// Whether the family was stated or examined rather than read from a log.
    pub stated: bool,
}

impl SystemGuess {
    /// Applies what a user states: `ubuntu`, `debian:12`, `conda`, `pyenv`, `wsl`, `docker`.
    /// Several may be given, separated by commas. Unknown words are returned.
    pub fn apply(&mut self, stated: &str) -> Result<(), String> {
        for word in stated.split(',').map(str::trim).filter(|w| !w.is_empty()) {
            let lower = word.to_ascii_lowercase();
            let (name, version) = match lower.split_once([':', ' ']) {
                Some((name, version)) => (name.to_owned(), Some(version.to_owned())),
                None => (lower, None),
            };
            self.apply_word(&name, version)
                .map_err(|()| word.to_owned())?;
        }
        Ok(())
    }

    fn apply_word(&mut self, name: &str, version: Option<String>) -> Result<(), ()> {
        let family = Family::ALL.iter().copied().find(|f| f.id() == name);
        let family = family
            .or_else(|| Family::from_os_release_id(name))
            .or(match name {
                "mac" | "darwin" | "osx" => Some(Family::MacOs),
                "win" | "win32" | "win11" => Some(Family::Windows),
                "redhat" => Some(Family::Rhel),
                "wsl" => Some(Family::Ubuntu),
                _ => None,
            });
        if name == "wsl" {
            self.wsl = true;
        }
        if let Some(family) = family {
            if self.family != Some(family) {
                self.version = None;
            }
            self.family = Some(family);
            self.version = version.or(self.version.take());
            self.stated = true;
            return Ok(());
        }
        if let Some(origin) = Origin::ALL.iter().copied().find(|o| o.id() == name) {
            self.origin = Some(origin);
            self.stated = true;
            return Ok(());
        }
        match name {
            "mamba" | "miniconda" | "anaconda" | "miniforge" => self.origin = Some(Origin::Conda),
            "brew" => self.origin = Some(Origin::Homebrew),
            "docker" | "container" | "podman" => self.container = true,
            "root" => self.root = Some(true),
            "no-root" | "user" => self.root = Some(false),
            _ => return Err(()),
        }
        self.stated = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_stated() {
        for family in Family::ALL {
            assert_eq!(serde_json::to_value(family).expect("a word"), family.id());
        }
        for origin in Origin::ALL {
            assert_eq!(serde_json::to_value(origin).expect("a word"), origin.id());
        }
    }

    #[test]
    fn stated_systems_are_understood() {
        let mut guess = SystemGuess::default();
        assert_eq!(guess.apply("debian:12, pyenv, no-root"), Ok(()));
        assert_eq!(guess.family, Some(Family::Debian));
        assert_eq!(guess.version.as_deref(), Some("12"));
        assert_eq!(guess.origin, Some(Origin::Pyenv));
        assert_eq!(guess.root, Some(false));
        assert_eq!(guess.apply("beos"), Err("beos".to_owned()));
    }
}
