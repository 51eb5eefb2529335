//! Which package holds what, and the command that installs it.
//!
//! What must hold: a row is a package name that exists in the distribution's
//! own archive at the date in [`crate::facts::CHECKED`]; where a release does
//! not carry a Python version, the caller adds the other archive.

use crate::facts;
use crate::platform::Family;

/// Something a package provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Need {
    PythonHeaders,
    CxxCompiler,
    LibcHeaders,
    OpenMpForGcc,
    OpenMpForClang,
    Libgomp,
    Binutils,
    Ninja,
    OpenSsl,
    LdConfig,
    NewerCompiler,
    Setuptools,
}

/// Package names; `{py}` stands for `3.13`, `{pyn}` for `313`.
pub fn packages(need: Need, family: Family) -> Option<&'static str> {
    use Family::*;
    Some(match (need, family) {
        (Need::PythonHeaders, Ubuntu | Debian) => "python{py}-dev",
        (Need::PythonHeaders, Fedora | Rhel) => "python{py}-devel",
        (Need::PythonHeaders, OpenSuse) => "python{pyn}-devel",
        (Need::PythonHeaders, Arch) => "python",
        (Need::PythonHeaders, Alpine) => "python3-dev",
        (Need::PythonHeaders, MacOs) => "python@{py}",
        (Need::CxxCompiler, Ubuntu | Debian) => "build-essential",
        (Need::CxxCompiler, Fedora | Rhel | OpenSuse) => "gcc gcc-c++",
        (Need::CxxCompiler, Arch) => "base-devel",
        (Need::CxxCompiler, Alpine) => "build-base",
        (Need::LibcHeaders, Ubuntu | Debian) => "build-essential libc6-dev libcrypt-dev",
        (Need::LibcHeaders, Fedora | Rhel) => "gcc-c++ glibc-devel libstdc++-devel libxcrypt-devel",
        (Need::LibcHeaders, OpenSuse) => "gcc-c++ glibc-devel libxcrypt-devel",
        (Need::LibcHeaders, Arch) => "base-devel glibc linux-api-headers",
        (Need::LibcHeaders, Alpine) => "build-base musl-dev linux-headers",
        (Need::OpenMpForGcc, Ubuntu | Debian) => "build-essential",
        (Need::OpenMpForGcc, Fedora | Rhel) => "gcc gcc-c++ libgomp",
        (Need::OpenMpForGcc, OpenSuse) => "gcc gcc-c++ libgomp1",
        (Need::OpenMpForGcc, Arch) => "gcc",
        (Need::OpenMpForGcc, Alpine) => "build-base libgomp",
        (Need::OpenMpForClang, Ubuntu | Debian) => "libomp-dev",
        (Need::OpenMpForClang, Fedora | Rhel | OpenSuse) => "libomp-devel",
        (Need::OpenMpForClang, Arch) => "openmp",
        (Need::OpenMpForClang, Alpine) => "openmp-dev",
        (Need::OpenMpForClang | Need::OpenMpForGcc, MacOs) => "libomp",
        (Need::Libgomp, Ubuntu | Debian) => "libgomp1",
        (Need::Libgomp, Fedora | Rhel) => "libgomp",
        (Need::Libgomp, OpenSuse) => "libgomp1",
        (Need::Libgomp, Arch) => "gcc-libs",
        (Need::Libgomp, Alpine) => "libgomp",
        (Need::Binutils, Ubuntu | Debian) => "build-essential binutils",
        (Need::Binutils, Fedora | Rhel | OpenSuse) => "gcc-c++ binutils",
        (Need::Binutils, Arch) => "base-devel",
        (Need::Binutils, Alpine) => "build-base binutils",
        (Need::Ninja, Ubuntu | Debian | Fedora | Rhel) => "ninja-build",
        (Need::Ninja, OpenSuse | Arch | MacOs) => "ninja",
        (Need::Ninja, Alpine) => "samurai",
        (Need::OpenSsl, Ubuntu | Debian | Fedora | Rhel | Arch | Alpine) => "openssl",
        (Need::OpenSsl, OpenSuse) => "openssl-3",
        (Need::OpenSsl, MacOs) => "openssl@3",
        (Need::LdConfig, Ubuntu | Debian) => "libc-bin",
        (Need::LdConfig, Fedora | Rhel | OpenSuse | Arch) => "glibc",
        (Need::NewerCompiler, Ubuntu | Debian) => "g++-12",
        (Need::NewerCompiler, Rhel) => "gcc-toolset-13",
        (Need::NewerCompiler, Fedora) => "gcc-c++",
        (Need::NewerCompiler, OpenSuse) => "gcc13-c++",
        (Need::NewerCompiler, Arch) => "gcc",
        (Need::NewerCompiler, Alpine) => "g++",
        (Need::NewerCompiler, MacOs) => "llvm",
        (Need::Setuptools, Ubuntu | Debian) => "python3-setuptools",
        (Need::Setuptools, Fedora | Rhel | Alpine) => "python3-setuptools",
        (Need::Setuptools, OpenSuse) => "python{pyn}-setuptools",
        (Need::Setuptools, Arch) => "python-setuptools",
        _ => return None,
    })
}

/// The packages of a need on a release, for a Python.
pub fn names(
    need: Need,
    family: Family,
    release: Option<&str>,
    python: Option<&str>,
) -> Option<String> {
    let release = release.unwrap_or_default();
    let side_by_side = facts::newest_gcc(family, release);
    if let (Need::NewerCompiler, Some(gcc)) = (need, side_by_side) {
        return Some(format!("g++-{gcc}"));
    }
    // RHEL 8 wrote the versions of its first modules without a dot.
    let undotted = family == Family::Rhel
        && release.split('.').next() == Some("8")
        && python.is_some_and(|p| ["3.6", "3.8", "3.9"].contains(&p));
    if need == Need::PythonHeaders && undotted {
        return Some(with_python("python{pyn}-devel", python));
    }
    packages(need, family).map(|names| with_python(names, python))
}

/// The compiler of one version beside the usual one, where the archive has such.
pub fn older_compiler(family: Family, version: u32) -> Option<String> {
    Some(match family {
        Family::Ubuntu | Family::Debian => format!("g++-{version}"),
        Family::Rhel => format!("gcc-toolset-{version}"),
        Family::OpenSuse => format!("gcc{version}-c++"),
        Family::Arch => format!("gcc{version}"),
        _ => return None,
    })
}

/// The conda package that provides the same inside an environment.
pub fn conda_packages(need: Need) -> Option<&'static str> {
    Some(match need {
        Need::PythonHeaders => "python={py}",
        Need::CxxCompiler | Need::NewerCompiler | Need::Binutils => "cxx-compiler",
        Need::LibcHeaders => "cxx-compiler libxcrypt",
        Need::OpenMpForGcc | Need::Libgomp => "libgomp cxx-compiler",
        Need::OpenMpForClang => "llvm-openmp",
        Need::Ninja => "ninja",
        Need::OpenSsl => "openssl",
        Need::Setuptools => "setuptools",
        Need::LdConfig => return None,
    })
}

/// The nixpkgs attribute names that provide the same.
pub fn nix_packages(need: Need) -> Option<&'static str> {
    Some(match need {
        Need::PythonHeaders => "python{pyn} gcc",
        Need::CxxCompiler
        | Need::LibcHeaders
        | Need::OpenMpForGcc
        | Need::Libgomp
        | Need::NewerCompiler => "gcc",
        Need::OpenMpForClang => "llvmPackages.openmp clang",
        Need::Binutils => "gcc binutils",
        Need::Ninja => "ninja",
        Need::OpenSsl => "openssl",
        Need::Setuptools => "python3Packages.setuptools",
        // NixOS has no loader cache; Triton is told the folder instead.
        Need::LdConfig => return None,
    })
}

/// Fills `{py}` and `{pyn}`.
pub fn with_python(template: &str, python: Option<&str>) -> String {
    let python = python.unwrap_or("3");
    let without_dot = python.replace('.', "");
    template
        .replace("{pyn}", &without_dot)
        .replace("{py}", python)
}

/// Lines that install packages.
pub fn install_lines(family: Family, packages: &str, root: bool) -> Vec<String> {
    let sudo = if root { "" } else { "sudo " };
    match family {
        Family::Ubuntu | Family::Debian => vec![
            format!("{sudo}apt-get update"),
            format!("{sudo}apt-get install -y --no-install-recommends {packages}"),
        ],
        Family::Fedora | Family::Rhel => vec![format!("{sudo}dnf install -y {packages}")],
        Family::OpenSuse => vec![format!("{sudo}zypper --non-interactive install {packages}")],
        Family::Arch => vec![format!("{sudo}pacman -S --needed --noconfirm {packages}")],
        Family::Alpine => vec![format!("{sudo}apk add {packages}")],
        Family::MacOs => vec![format!("brew install {packages}")],
        Family::NixOs | Family::Windows => Vec::new(),
    }
}

/// Whether a need is met by the packages of the compiler.
pub fn is_part_of_compiler(need: Need) -> bool {
    matches!(
        need,
        Need::CxxCompiler | Need::LibcHeaders | Need::Binutils | Need::OpenMpForGcc
    )
}

/// Whether lines change the system, which needs rights.
pub fn needs_root(commands: &[String]) -> bool {
    let managers = [
        "apt-get install",
        "apt-get update",
        "dnf install",
        "zypper ",
        "pacman -S",
        "apk add",
        "sudo ",
        "reg add",
    ];
    let in_image = |line: &str| line.starts_with("RUN ");
    commands
        .iter()
        .any(|c| !in_image(c) && managers.iter().any(|m| c.contains(m)))
}

/// A line that fetches packages with all they need on another machine, and one
/// that installs the files here.
pub fn offline_lines(family: Family, packages: &str, root: bool) -> Option<[String; 2]> {
    let sudo = if root { "" } else { "sudo " };
    Some(match family {
        Family::Ubuntu | Family::Debian => [
            format!(
                "apt-get download $(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances {packages} | grep '^[a-z]' | sort -u)"
            ),
            format!("{sudo}dpkg -i --skip-same-version ./*.deb"),
        ],
        Family::Fedora | Family::Rhel => [
            format!("dnf download --resolve --alldeps {packages}"),
            format!("{sudo}dnf install -y --disablerepo='*' ./*.rpm"),
        ],
        Family::OpenSuse => [
            format!("sudo zypper --pkg-cache-dir ./packages install --download-only -y {packages}"),
            format!("{sudo}rpm -Uvh packages/*/*/*.rpm"),
        ],
        Family::Arch => [
            format!("sudo pacman -Syw --noconfirm --cachedir . {packages}"),
            format!("{sudo}pacman -U --noconfirm ./*.pkg.tar.zst"),
        ],
        Family::Alpine => [
            format!("apk fetch --recursive {packages}"),
            format!("{sudo}apk add --no-network --allow-untrusted ./*.apk"),
        ],
        Family::NixOs | Family::MacOs | Family::Windows => return None,
    })
}

/// The line for a Dockerfile.
pub fn dockerfile_line(family: Family, packages: &str) -> Option<String> {
    Some(match family {
        Family::Ubuntu | Family::Debian => format!(
            "RUN apt-get update && apt-get install -y --no-install-recommends {packages} && rm -rf /var/lib/apt/lists/*"
        ),
        Family::Fedora | Family::Rhel => format!("RUN dnf install -y {packages} && dnf clean all"),
        Family::OpenSuse => {
            format!("RUN zypper --non-interactive install {packages} && zypper clean")
        }
        Family::Arch => format!("RUN pacman -Sy --needed --noconfirm {packages}"),
        Family::Alpine => format!("RUN apk add --no-cache {packages}"),
        Family::NixOs | Family::MacOs | Family::Windows => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_exact_python() {
        let of = |family| {
            with_python(
                packages(Need::PythonHeaders, family).unwrap_or_default(),
                Some("3.13"),
            )
        };
        assert_eq!(of(Family::Ubuntu), "python3.13-dev");
        assert_eq!(of(Family::Fedora), "python3.13-devel");
        assert_eq!(of(Family::OpenSuse), "python313-devel");
        assert_eq!(of(Family::MacOs), "python@3.13");
    }

    #[test]
    fn root_needs_no_sudo() {
        assert!(
            install_lines(Family::Debian, "x", true)
                .iter()
                .all(|l| !l.contains("sudo"))
        );
    }
}
