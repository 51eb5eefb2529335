//! The interpreter in question, asked without importing torch.
//!
//! What must hold: the interpreter runs once, isolated from nothing the user
//! set, and within a time limit; what it does not answer is absent.

use crate::platform::Origin;
use ferroductor_toolchain::{Command, Platform, System};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Prints what is asked as one line of JSON.
const QUESTIONS: &str = r#"
import importlib.util, json, os, sys, sysconfig
def version(name):
    try:
        from importlib.metadata import version
        return version(name)
    except Exception:
        return None
def place(name):
    try:
        spec = importlib.util.find_spec(name)
        return os.path.dirname(spec.origin) if spec and spec.origin else None
    except Exception:
        return None
def wants():
    try:
        from importlib.metadata import requires
        return [r for r in requires("torch") or [] if r.split(";")[0].strip().startswith(("triton", "setuptools", "pytorch-triton"))]
    except Exception:
        return []
var = sysconfig.get_config_var
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "executable": sys.executable, "prefix": sys.prefix, "base_prefix": sys.base_prefix,
    "include": sysconfig.get_paths()["include"], "suffix": var("EXT_SUFFIX") or ".so",
    "cflags": (var("CFLAGS") or "") + " " + (var("CCSHARED") or ""),
    "torch": version("torch"), "torch_dir": place("torch"), "torch_wants": wants(),
    "triton": version("triton") or version("pytorch-triton") or version("triton-windows"),
    "setuptools": version("setuptools"), "ninja": version("ninja"),
    "stdlib": sysconfig.get_paths()["stdlib"], "pip": version("pip"),
    "conda": os.path.isdir(os.path.join(sys.prefix, "conda-meta")),
}))
"#;

/// What an interpreter says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Python {
    pub version: String,
    pub executable: String,
    pub prefix: String,
    pub base_prefix: String,
    pub include: String,
    pub suffix: String,
    pub cflags: String,
    pub torch: Option<String>,
    pub torch_dir: Option<String>,
    pub torch_wants: Vec<String>,
    pub triton: Option<String>,
    pub setuptools: Option<String>,
    pub ninja: Option<String>,
    pub stdlib: String,
    pub pip: Option<String>,
    pub conda: bool,
}

impl Python {
    /// `3.13` of `3.13.0`.
    pub fn minor_version(&self) -> String {
        self.version
            .splitn(3, '.')
            .take(2)
            .collect::<Vec<_>>()
            .join(".")
    }

    pub fn in_virtual_environment(&self) -> bool {
        self.prefix != self.base_prefix
    }

    /// Whether the distribution forbids pip to install into this interpreter.
    pub fn is_externally_managed(&self, system: &dyn System) -> bool {
        let mark = Path::new(&self.stdlib).join("EXTERNALLY-MANAGED");
        !self.in_virtual_environment() && system.exists(&mark)
    }

    pub fn header(&self) -> PathBuf {
        Path::new(&self.include).join("Python.h")
    }

    /// Where the interpreter comes from, by its place.
    pub fn origin(&self) -> Option<Origin> {
        let base = self.base_prefix.replace('\\', "/");
        let contains = |part: &str| base.contains(part);
        Some(
            if self.conda || contains("conda") || contains("mamba") || contains("miniforge") {
                Origin::Conda
            } else if contains("/.pyenv/") {
                Origin::Pyenv
            } else if contains("/uv/python") {
                Origin::Uv
            } else if contains("/nix/store") {
                Origin::Nix
            } else if ["/opt/homebrew", "/Cellar/", "/opt/python@"]
                .iter()
                .any(|p| contains(p))
            {
                Origin::Homebrew
            } else if contains("/CommandLineTools/") || contains("/Xcode.app/") {
                Origin::Xcode
            } else if contains("Python.framework") || contains("/Programs/Python/") {
                Origin::PythonOrg
            } else if contains("python_embed") {
                Origin::Embedded
            } else if base == "/usr/local" {
                Origin::UsrLocal
            } else if base == "/usr" {
                Origin::System
            } else {
                return None;
            },
        )
    }
}

/// An interpreter that gave no answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Silent {
    /// What was tried and how each ended.
    pub tried: String,
    /// A named interpreter, or one of an active environment, that does not run.
    pub broken: Option<Broken>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    pub path: String,
    pub reason: String,
    /// The virtual environment it belongs to.
    pub environment: Option<String>,
}

/// Finds and asks the interpreter; the error says what was tried.
pub fn ask(system: &dyn System, named: Option<&str>) -> Result<Python, Silent> {
    let candidates: Vec<(String, bool)> = match named {
        Some(name) => vec![(name.to_owned(), true)],
        None => default_candidates(system),
    };
    let mut tried = Vec::new();
    for (name, wanted) in candidates {
        let reason = match ask_one(system, &name) {
            Ok(python) => return Ok(python),
            Err(reason) => reason,
        };
        tried.push(format!("{name}: {reason}"));
        // Another interpreter than the wanted one must not be judged in its place.
        if wanted {
            let broken = broken(system, &name, reason);
            return Err(Silent {
                tried: tried.join("; "),
                broken: Some(broken),
            });
        }
    }
    Err(Silent {
        tried: tried.join("; "),
        broken: None,
    })
}

fn ask_one(system: &dyn System, name: &str) -> Result<Python, String> {
    let path = system.which(name).ok_or("not found")?;
    let command = Command::new(path.to_string_lossy())
        .args(["-c", QUESTIONS])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .time_limit(system.patience(Duration::from_secs(15)));
    let run = system.run(&command);
    let mut lines = run.stdout.lines().rev();
    lines
        .find_map(|line| serde_json::from_str::<Python>(line).ok())
        .ok_or_else(|| {
            let report = run.report();
            report.lines().last().unwrap_or("no answer").to_owned()
        })
}

/// Why a wanted interpreter does not run: often its base was removed.
fn broken(system: &dyn System, name: &str, reason: String) -> Broken {
    let prefix = Path::new(name).parent().and_then(Path::parent);
    let configuration = prefix.map(|p| p.join("pyvenv.cfg"));
    let text = configuration
        .and_then(|c| system.read_text(&c.to_string_lossy()))
        .unwrap_or_default();
    let environment = prefix
        .filter(|_| !text.is_empty())
        .map(|p| p.to_string_lossy().into_owned());
    let value = |key: &str| {
        text.lines()
            .filter_map(|l| l.split_once('='))
            .find(|(k, _)| k.trim() == key)
            .map(|(_, v)| v.trim().to_owned())
    };
    let base = value("executable").or_else(|| value("home"));
    let reason = match base.filter(|b| !system.exists(Path::new(b))) {
        Some(base) => format!("{reason}; {base} does not exist any more"),
        None => reason,
    };
    Broken {
        path: name.to_owned(),
        reason,
        environment,
    }
}

/// Names to try, and whether another may not take its place when it does not answer.
fn default_candidates(system: &dyn System) -> Vec<(String, bool)> {
    let windows = system.platform() == Platform::Windows;
    let active = |variable: &str| system.env(variable).filter(|p| !p.is_empty());
    let mut names = Vec::new();
    if let Some(prefix) = active("VIRTUAL_ENV") {
        let bin = if windows {
            "Scripts/python.exe"
        } else {
            "bin/python"
        };
        names.push((format!("{prefix}/{bin}"), true));
    }
    if let Some(prefix) = active("CONDA_PREFIX") {
        // A conda environment may have no Python at all.
        let bin = if windows { "python.exe" } else { "bin/python" };
        names.push((format!("{prefix}/{bin}"), false));
    }
    let usual = ["python", "python3"];
    names.extend(usual.iter().map(|n| ((*n).to_owned(), false)));
    names
}
