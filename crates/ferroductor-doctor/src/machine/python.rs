//! The interpreter in question, asked without importing torch.
//!
//! What must hold: the interpreter runs once, isolated from nothing the user
//! set, and within a time limit; what it does not answer is absent.

use crate::platform::Origin;
use ferroductor_toolchain::{Command, Outcome, Platform, System};
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
            } else if contains("/opt/homebrew") || contains("/Cellar/") {
                Origin::Homebrew
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

/// Finds and asks the interpreter; the error says what was tried.
pub fn ask(system: &dyn System, named: Option<&str>) -> Result<Python, String> {
    let candidates: Vec<String> = match named {
        Some(name) => vec![name.to_owned()],
        None => default_candidates(system),
    };
    let mut tried = Vec::new();
    for name in candidates {
        let Some(path) = system.which(&name) else {
            tried.push(format!("{name}: not found"));
            continue;
        };
        let command = Command::new(path.to_string_lossy())
            .args(["-c", QUESTIONS])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .time_limit(Duration::from_secs(15));
        let run = system.run(&command);
        let answer = run
            .stdout
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str::<Python>(line).ok());
        match answer {
            Some(python) => return Ok(python),
            None if run.outcome == Outcome::TimedOut => {
                tried.push(format!("{name}: no answer in time"))
            }
            None => tried.push(format!(
                "{name}: {}",
                run.combined().lines().last().unwrap_or("no answer")
            )),
        }
    }
    Err(tried.join("; "))
}

fn default_candidates(system: &dyn System) -> Vec<String> {
    let mut names = Vec::new();
    let bin = if system.platform() == Platform::Windows {
        "Scripts/python.exe"
    } else {
        "bin/python"
    };
    for variable in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        if let Some(prefix) = system.env(variable).filter(|p| !p.is_empty()) {
            names.push(format!("{prefix}/{bin}"));
        }
    }
    names.extend(["python".to_owned(), "python3".to_owned()]);
    names
}
