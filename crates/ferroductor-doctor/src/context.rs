//! What a log says about the machine and the programs it came from: who was
//! compiling, which Python, which torch, which system.
//!
//! What must hold: nothing is taken from the machine this runs on; a fact is
//! the one the log says most often, and is absent when the log says nothing.

use crate::platform::{Family, Origin, SystemGuess};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use ferroductor_toolchain::flags::python_version_in;
use regex::Regex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Who was compiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    InductorCpp,
    Triton,
    CppExtension,
    Ferroductor,
}

impl Actor {
    pub fn id(self) -> &'static str {
        match self {
            Actor::InductorCpp => "inductor-cpp",
            Actor::Triton => "triton",
            Actor::CppExtension => "cpp-extension",
            Actor::Ferroductor => "ferroductor",
        }
    }

    pub const ALL: &'static [Actor] = &[
        Actor::InductorCpp,
        Actor::Triton,
        Actor::CppExtension,
        Actor::Ferroductor,
    ];
}

/// What a literal in a line says.
#[derive(Clone, Copy)]
enum Clue {
    Actor(Actor),
    Family(Family),
    Origin(Origin),
    /// Of the interpreter there, or of what pip installed for the system's.
    UsrLocal,
    Container,
    Wsl,
    Root,
    Python,
    Torch,
    Arch(&'static str),
}

const CLUES: &[(&str, Clue)] = {
    use Clue::{Arch, Container, Python, Root, Torch, UsrLocal, Wsl};
    &[
        ("torch/_inductor/", Clue::Actor(Actor::InductorCpp)),
        (r"torch\_inductor\", Clue::Actor(Actor::InductorCpp)),
        (r"torch\\_inductor\\", Clue::Actor(Actor::InductorCpp)),
        ("torch._inductor", Clue::Actor(Actor::InductorCpp)),
        ("torchinductor_", Clue::Actor(Actor::InductorCpp)),
        (
            "TORCH_INDUCTOR_CPP_WRAPPER",
            Clue::Actor(Actor::InductorCpp),
        ),
        ("CppCompileError", Clue::Actor(Actor::InductorCpp)),
        ("backend='inductor'", Clue::Actor(Actor::InductorCpp)),
        ("AOTInductor", Clue::Actor(Actor::InductorCpp)),
        ("/triton/", Clue::Actor(Actor::Triton)),
        (r"\triton\", Clue::Actor(Actor::Triton)),
        (r"\\triton\\", Clue::Actor(Actor::Triton)),
        ("/.triton/", Clue::Actor(Actor::Triton)),
        ("triton_heuristics", Clue::Actor(Actor::Triton)),
        ("cuda_utils", Clue::Actor(Actor::Triton)),
        ("__triton_launcher", Clue::Actor(Actor::Triton)),
        ("triton.compiler", Clue::Actor(Actor::Triton)),
        ("cpp_extension", Clue::Actor(Actor::CppExtension)),
        ("torch_extensions", Clue::Actor(Actor::CppExtension)),
        ("TORCH_EXTENSION_NAME", Clue::Actor(Actor::CppExtension)),
        ("Error building extension", Clue::Actor(Actor::CppExtension)),
        ("running build_ext", Clue::Actor(Actor::CppExtension)),
        ("ferroductor/", Clue::Actor(Actor::Ferroductor)),
        ("ferroductor.", Clue::Actor(Actor::Ferroductor)),
        ("Ubuntu", Clue::Family(Family::Ubuntu)),
        ("Debian", Clue::Family(Family::Debian)),
        ("Linux Mint", Clue::Family(Family::Ubuntu)),
        ("Fedora", Clue::Family(Family::Fedora)),
        ("(Red Hat", Clue::Family(Family::Rhel)),
        ("CentOS", Clue::Family(Family::Rhel)),
        ("Rocky Linux", Clue::Family(Family::Rhel)),
        ("AlmaLinux", Clue::Family(Family::Rhel)),
        ("Amazon Linux", Clue::Family(Family::Rhel)),
        ("openSUSE", Clue::Family(Family::OpenSuse)),
        ("Arch Linux", Clue::Family(Family::Arch)),
        ("Manjaro", Clue::Family(Family::Arch)),
        ("Artix", Clue::Family(Family::Arch)),
        ("Alpine", Clue::Family(Family::Alpine)),
        ("linux-musl", Clue::Family(Family::Alpine)),
        ("/nix/store/", Clue::Family(Family::NixOs)),
        ("NixOS", Clue::Family(Family::NixOs)),
        ("/Users/", Clue::Family(Family::MacOs)),
        ("/opt/homebrew/", Clue::Family(Family::MacOs)),
        ("/var/folders/", Clue::Family(Family::MacOs)),
        ("macOS", Clue::Family(Family::MacOs)),
        ("darwin", Clue::Family(Family::MacOs)),
        (".dylib", Clue::Family(Family::MacOs)),
        ("Apple clang", Clue::Family(Family::MacOs)),
        ("AppData", Clue::Family(Family::Windows)),
        (r":\", Clue::Family(Family::Windows)),
        ("WinError", Clue::Family(Family::Windows)),
        ("Microsoft Windows", Clue::Family(Family::Windows)),
        ("Microsoft (R) C/C++", Clue::Family(Family::Windows)),
        ("win_amd64", Clue::Family(Family::Windows)),
        ("LNK11", Clue::Family(Family::Windows)),
        ("error C10", Clue::Family(Family::Windows)),
        ("cl.exe", Clue::Family(Family::Windows)),
        ("/.pyenv/", Clue::Origin(Origin::Pyenv)),
        ("/share/uv/python/", Clue::Origin(Origin::Uv)),
        ("/uv/python/", Clue::Origin(Origin::Uv)),
        ("conda-linux-gnu", Clue::Origin(Origin::Conda)),
        ("miniconda", Clue::Origin(Origin::Conda)),
        ("anaconda", Clue::Origin(Origin::Conda)),
        ("miniforge", Clue::Origin(Origin::Conda)),
        ("mambaforge", Clue::Origin(Origin::Conda)),
        ("micromamba", Clue::Origin(Origin::Conda)),
        ("/opt/conda/", Clue::Origin(Origin::Conda)),
        ("/.conda/", Clue::Origin(Origin::Conda)),
        ("/opt/homebrew/", Clue::Origin(Origin::Homebrew)),
        ("/opt/python@3", Clue::Origin(Origin::Homebrew)),
        (
            "/Library/Frameworks/Python3.framework",
            Clue::Origin(Origin::Xcode),
        ),
        (
            "/Library/Frameworks/Python.framework",
            Clue::Origin(Origin::PythonOrg),
        ),
        ("python_embeded", Clue::Origin(Origin::Embedded)),
        ("/usr/local/lib/python3", UsrLocal),
        ("/usr/lib/python3", Clue::Origin(Origin::System)),
        ("/usr/include/python3", Clue::Origin(Origin::System)),
        ("/nix/store/", Clue::Origin(Origin::Nix)),
        ("/.dockerenv", Container),
        ("Dockerfile", Container),
        ("docker run", Container),
        ("docker build", Container),
        ("kubepods", Container),
        ("microsoft-standard-WSL", Wsl),
        ("/mnt/c/", Wsl),
        ("WSL2", Wsl),
        ("/root/", Root),
        ("root@", Root),
        ("python3.", Python),
        ("Python 3.", Python),
        ("Python version", Python),
        ("cpython-3", Python),
        ("Python3", Python),
        ("-cp3", Python),
        (".cp3", Python),
        ("PyTorch version", Torch),
        ("torch==", Torch),
        ("torch-", Torch),
        ("torch 2.", Torch),
        ("pytorch 2.", Torch),
        ("torch: 2.", Torch),
        ("torch version", Torch),
        ("x86_64-linux-gnu", Arch("x86_64")),
        ("x86_64-conda", Arch("x86_64")),
        ("linux_x86_64", Arch("x86_64")),
        ("aarch64-linux-gnu", Arch("aarch64")),
        ("aarch64-conda", Arch("aarch64")),
        ("linux_aarch64", Arch("aarch64")),
        ("arm64", Arch("aarch64")),
    ]
};

static FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .build(clue_literals())
        .ok()
});

/// The literals that make a line worth reading here.
pub fn clue_literals() -> impl Iterator<Item = &'static str> {
    // A bare version line has no word of its own but a local version label.
    CLUES
        .iter()
        .map(|(text, _)| *text)
        .chain(["+cpu", "+cu", "+rocm", "-packages", "OS:"])
}

/// The folder of torch at one of the first places where packages lie.
fn torch_dir(line: &str) -> Option<String> {
    let places = line.match_indices("-packages").take(8);
    let mut pieces = places.map(|(at, _)| {
        let before = line[..at]
            .char_indices()
            .rev()
            .nth(400)
            .map_or(0, |(i, _)| i);
        let after = line[at..]
            .char_indices()
            .nth(24)
            .map_or(line.len(), |(i, _)| at + i);
        &line[before..after]
    });
    pieces.find_map(|piece| {
        let found = TORCH_DIR.as_ref()?.captures(piece)?;
        Some(found.get(1)?.as_str().to_owned())
    })
}

fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

static PYTHON_VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r"(?:Python version:?\s*|\bPython |cpython-|[-.]cp)(3)\.?(\d{1,2})(?:\D|$)")
});
static TORCH_VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:pytorch version:?\s*|\b(?:py)?torch(?:==|-|: | version:? | ))v?([12]\.\d{1,2}(?:\.\d+)?(?:\.dev\d+|a0|rc\d)?(?:\+\w+)?)",
    )
});
static BARE_TORCH_VERSION: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"^\s*(2\.\d{1,2}\.\d+\+(?:cpu|cu\d+|rocm[\d.]+|git\w+))\s*$"));
static TORCH_DIR: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r#"((?:[A-Za-z]:|~)?[/\\][^\s"']{0,300}?[/\\](?:site|dist)-packages[/\\]+torch)[/\\]"#)
});
static DISTRO_VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?:Ubuntu|Debian|Fedora|CentOS|Rocky|AlmaLinux|Alpine|openSUSE)\D{0,40}?(\d{1,2}(?:\.\d{2})?)\b",
    )
});
static BUILD_STEP: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"^#\d+ \d+\.\d+ "));

/// The facts, with counts while the log is being read.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Line and actor, one entry per change and at least every few lines; bounded.
    actors: Vec<(u64, Actor)>,
    actor_counts: BTreeMap<Actor, u64>,
    families: BTreeMap<Family, u64>,
    origins: BTreeMap<Origin, u64>,
    pythons: BTreeMap<String, u64>,
    archs: BTreeMap<&'static str, u64>,
    pub torch_version: Option<String>,
    pub torch_dir: Option<String>,
    pub distro_version: Option<String>,
    pub container: bool,
    pub wsl: bool,
    pub root: bool,
}

/// More sightings than this are thinned; only distances matter.
const ACTOR_SIGHTINGS: usize = 20_000;

impl Context {
    /// Takes in one clean line.
    pub fn read_line(&mut self, number: u64, line: &str) {
        let Some(finder) = FINDER.as_ref() else {
            return;
        };
        let mut torch_clue = false;
        let mut python_clue = false;
        for found in finder.find_overlapping_iter(line) {
            match CLUES.get(found.pattern().as_usize()).map(|(_, clue)| *clue) {
                Some(Clue::Actor(actor)) => self.see_actor(number, actor),
                Some(Clue::Family(family)) => *self.families.entry(family).or_default() += 1,
                Some(Clue::Origin(origin)) => *self.origins.entry(origin).or_default() += 1,
                Some(Clue::UsrLocal) => {
                    let debian = line.contains("/dist-packages");
                    let origin = if debian {
                        Origin::System
                    } else {
                        Origin::UsrLocal
                    };
                    *self.origins.entry(origin).or_default() += 1;
                }
                Some(Clue::Container) => self.container = true,
                Some(Clue::Wsl) => self.wsl = true,
                Some(Clue::Root) => self.root = true,
                Some(Clue::Python) => python_clue = true,
                Some(Clue::Torch) => torch_clue = true,
                Some(Clue::Arch(arch)) => *self.archs.entry(arch).or_default() += 1,
                None => {}
            }
        }
        if python_clue {
            self.read_python(line);
        }
        self.read_torch(line, torch_clue);
        self.read_distro(line);
    }

    fn see_actor(&mut self, number: u64, actor: Actor) {
        *self.actor_counts.entry(actor).or_default() += 1;
        let seen_now = self
            .actors
            .iter()
            .rev()
            .take(4)
            .any(|(n, a)| *n == number && *a == actor);
        if seen_now {
            return;
        }
        if self.actors.len() >= ACTOR_SIGHTINGS {
            // Keep the ends and thin the middle: failures sit near either end.
            let mut index = 0;
            self.actors.retain(|_| {
                index += 1;
                index % 2 == 0
            });
        }
        // A line that stood on several is read after them, under the number of its first.
        let place = self.actors.partition_point(|(n, _)| *n <= number);
        self.actors.insert(place, (number, actor));
    }

    fn read_python(&mut self, line: &str) {
        if let Some(version) = python_version_in(line) {
            *self.pythons.entry(version).or_default() += 1;
        }
        // A stated version outweighs paths, which may belong to other tools.
        if let Some(found) = PYTHON_VERSION.as_ref().and_then(|r| r.captures(line)) {
            let weight = if line.contains("Python version") {
                1000
            } else {
                3
            };
            *self.pythons.entry(format!("3.{}", &found[2])).or_default() += weight;
        }
    }

    fn read_torch(&mut self, line: &str, clue: bool) {
        if self.torch_version.is_none() {
            let regex = if clue {
                &TORCH_VERSION
            } else {
                &BARE_TORCH_VERSION
            };
            let short = clue || (line.len() < 40 && line.contains('+'));
            let found = short
                .then(|| regex.as_ref().and_then(|r| r.captures(line)))
                .flatten();
            self.torch_version = found.and_then(|c| c.get(1)).map(|m| m.as_str().to_owned());
        }
        if self.torch_dir.is_none() && line.contains("-packages") && line.contains("torch") {
            self.torch_dir = torch_dir(line);
        }
    }

    fn read_distro(&mut self, line: &str) {
        let names = [
            "OS:",
            "Ubuntu ",
            "Debian ",
            "Fedora ",
            "CentOS ",
            "Rocky ",
            "Alpine ",
            "AlmaLinux ",
        ];
        if self.distro_version.is_none() && names.iter().any(|n| line.contains(n)) {
            let found = DISTRO_VERSION.as_ref().and_then(|r| r.captures(line));
            self.distro_version = found.and_then(|c| c.get(1)).map(|m| m.as_str().to_owned());
        }
        if line.starts_with('#') && BUILD_STEP.as_ref().is_some_and(|r| r.is_match(line)) {
            self.container = true;
        }
    }

    /// The actor seen closest to a line, within `reach` lines.
    pub fn nearest_actor(&self, line: u64, reach: u64) -> Option<Actor> {
        // Sightings stand in the order of their lines, so that only neighbours count.
        let from = self
            .actors
            .partition_point(|(n, _)| *n < line.saturating_sub(reach));
        let to = self
            .actors
            .partition_point(|(n, _)| *n <= line.saturating_add(reach));
        let near = self.actors.get(from..to)?.iter();
        near.min_by_key(|(n, _)| n.abs_diff(line)).map(|(_, a)| *a)
    }

    pub fn mentions(&self, actor: Actor) -> bool {
        self.actor_counts.contains_key(&actor)
    }

    /// Whether the log shows any of the compilers of the torch world at work.
    pub fn has_actor(&self) -> bool {
        !self.actor_counts.is_empty()
    }

    /// The Python version the log names most.
    pub fn python(&self) -> Option<String> {
        self.pythons
            .iter()
            .max_by_key(|(_, count)| **count)
            .map(|(version, _)| version.clone())
    }

    pub fn family(&self) -> Option<Family> {
        // WSL logs show Windows paths; the compiler that failed is Linux's.
        let count = |f: &Family| self.families.get(f).copied().unwrap_or(0);
        if self.wsl {
            let linux = self
                .families
                .keys()
                .copied()
                .filter(|f| f.is_linux())
                .max_by_key(count);
            return linux.or(Some(Family::Ubuntu));
        }
        if count(&Family::Windows) > 0 && count(&Family::Windows) >= count(&Family::MacOs) {
            return Some(Family::Windows);
        }
        self.families.keys().copied().max_by_key(count)
    }

    /// Whether the log is from a Unix machine whose distribution it does not name.
    pub fn origin(&self) -> Option<Origin> {
        let score = |o: &Origin| {
            (
                o.tells_more_than_paths(),
                self.origins.get(o).copied().unwrap_or(0),
            )
        };
        self.origins.keys().copied().max_by_key(score)
    }

    pub fn is_windows(&self) -> bool {
        self.family() == Some(Family::Windows)
    }

    pub fn is_macos(&self) -> bool {
        self.family() == Some(Family::MacOs)
    }

    /// What the log says about the system, for the choice of fixes.
    pub fn system(&self) -> SystemGuess {
        SystemGuess {
            family: self.family(),
            version: self.distro_version.clone(),
            origin: self.origin(),
            arch: self
                .archs
                .iter()
                .max_by_key(|(_, c)| **c)
                .map(|(a, _)| (*a).to_owned()),
            python: self.python(),
            python_exact: None,
            container: self.container,
            wsl: self.wsl,
            root: self.root.then_some(true),
            vcvars: None,
            stated: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Context {
        let mut context = Context::default();
        for (index, line) in lines.iter().enumerate() {
            context.read_line(index as u64 + 1, line);
        }
        context
    }

    #[test]
    fn versions_and_places_are_read() {
        let context = read(&[
            "PyTorch version: 2.7.0+cpu",
            "OS: Ubuntu 22.04.3 LTS (x86_64)",
            "Python version: 3.10.13 (main)",
            "  File \"/home/u/.local/lib/python3.10/site-packages/torch/_inductor/codecache.py\", line 1",
        ]);
        assert_eq!(context.torch_version.as_deref(), Some("2.7.0+cpu"));
        assert_eq!(context.python().as_deref(), Some("3.10"));
        assert_eq!(context.distro_version.as_deref(), Some("22.04"));
        assert_eq!(context.family(), Some(Family::Ubuntu));
        assert_eq!(
            context.torch_dir.as_deref(),
            Some("/home/u/.local/lib/python3.10/site-packages/torch")
        );
        assert_eq!(context.nearest_actor(1, 10), Some(Actor::InductorCpp));
    }

    #[test]
    fn windows_wins_over_names_in_its_paths() {
        assert!(read(&[r"C:\Users\me\AppData\Local\Temp\torchinductor_me\x.cpp"]).is_windows());
        assert!(read(&["/Users/me/x.dylib"]).is_macos());
    }
}
