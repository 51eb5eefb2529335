//! What is there, in one screen: the machine as far as toolchains care.
//!
//! What must hold: probes run in parallel with time limits; a probe that
//! crashes leaves its field empty and its name in `crashed`; only listed
//! environment variables are shown, and none whose value looks like a secret.

use super::folders::{self, Folder};
use super::limits::{self, Limits};
use super::msvc;
use super::python::{self, Python, Silent};
use super::secrets::Secrets;
use crate::facts;
use crate::i18n::Catalog;
use crate::platform::{Family, Origin, SystemGuess};
use ferroductor_toolchain::{
    Attempt, AttemptResult, Command, CxxSearch, Platform, System, find_cc, find_cxx,
};
use serde::Serialize;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// The machine.
#[derive(Debug, Clone, Serialize)]
pub struct Inventory {
    pub system: SystemGuess,
    pub system_name: String,
    pub user: UserFacts,
    pub python: Option<Python>,
    /// Why no interpreter answered.
    pub python_error: Option<Silent>,
    /// Version of the headers found, from their own text.
    pub headers: Option<String>,
    pub cxx: CompilerFacts,
    pub cc: CompilerFacts,
    pub tools: Vec<ToolFacts>,
    pub cpu: Vec<String>,
    pub folders: Vec<Folder>,
    pub cuda: CudaFacts,
    pub limits: Limits,
    pub environment: Vec<(String, String)>,
    /// Probes that crashed.
    pub crashed: Vec<&'static str>,
    #[serde(skip)]
    pub cxx_search: Option<CxxSearch>,
    #[serde(skip)]
    pub cc_search: Option<CxxSearch>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct UserFacts {
    pub uid: Option<u32>,
    pub name: Option<String>,
    pub is_root: bool,
    pub has_passwd_entry: bool,
}

/// The compiler that works, and the candidates that did not.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CompilerFacts {
    pub program: Option<String>,
    pub version: Option<String>,
    /// What the probe found to work: standard, options, OpenMP.
    pub flags: Vec<String>,
    pub openmp: bool,
    /// Candidates that were tried, and what each printed.
    pub attempts: Vec<String>,
    /// Other compilers on PATH; not tried, because they are used only when named.
    pub others: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ToolFacts {
    pub name: &'static str,
    pub path: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct CudaFacts {
    pub driver: Option<String>,
    pub libcuda: Option<String>,
    pub home: Option<String>,
    pub nvcc: Option<String>,
    pub ptxas: Option<String>,
}

impl Inventory {
    /// Asks everything at once.
    pub fn collect(system: &dyn System, python_name: Option<&str>) -> Inventory {
        let user = user_facts(system);
        let folder_name = folder_name_of(&user);
        thread::scope(|scope| {
            let python = scope.spawn(|| python::ask(system, python_name));
            let cxx = scope.spawn(|| find_cxx(system));
            let cc = scope.spawn(|| find_cc(system));
            let cuda = scope.spawn(|| cuda_facts(system));
            let folders = scope.spawn(|| folders::examine(system, &folder_name));
            let msvc = scope.spawn(|| msvc::setup_script(system));
            let mut crashed = Vec::new();
            let python = python.join().unwrap_or_else(|_| {
                crashed.push("python");
                let tried = "the probe crashed".to_owned();
                Err(Silent {
                    tried,
                    broken: None,
                })
            });
            let cxx_search = cxx
                .join()
                .inspect_err(|_| crashed.push("c++ compiler"))
                .ok();
            let cc_search = cc.join().inspect_err(|_| crashed.push("c compiler")).ok();
            let cuda = cuda
                .join()
                .inspect_err(|_| crashed.push("cuda"))
                .unwrap_or_default();
            let folders = folders
                .join()
                .inspect_err(|_| crashed.push("folders"))
                .unwrap_or_default();
            let (python, python_error) = match python {
                Ok(python) => (Some(python), None),
                Err(error) => (None, Some(error)),
            };
            let (mut guess, name) = system_guess(system, python.as_ref(), &user);
            guess.vcvars = msvc
                .join()
                .inspect_err(|_| crashed.push("visual studio"))
                .unwrap_or_default();
            Inventory {
                system: guess,
                system_name: name,
                headers: python
                    .as_ref()
                    .and_then(|p| header_version(system, &p.include)),
                python,
                python_error,
                cxx: compiler_facts(system, cxx_search.as_ref(), OTHER_CXX),
                cc: compiler_facts(system, cc_search.as_ref(), OTHER_CC),
                tools: tools(system),
                cpu: cpu_features(system),
                folders,
                cuda,
                limits: limits::examine(system),
                environment: shown_environment(system),
                user,
                crashed,
                cxx_search,
                cc_search,
            }
        })
    }

    /// One line for each subject.
    pub fn lines(&self, catalog: &Catalog) -> Vec<(String, String)> {
        let none = || catalog.text("inv-none");
        let or_none = |text: Option<String>| text.filter(|t| !t.is_empty()).unwrap_or_else(none);
        let mut lines = vec![
            ("inv-system", self.system_name.clone()),
            ("inv-user", self.user_line()),
        ];
        let python = self.python.as_ref();
        lines.push((
            "inv-python",
            or_none(
                python
                    .map(python_line)
                    .or_else(|| self.python_error.as_ref().map(|s| s.tried.clone())),
            ),
        ));
        let headers = python.map(|p| match &self.headers {
            Some(version) => format!("{} ({version})", p.include),
            None => format!("{}: {}", p.include, none()),
        });
        lines.push(("inv-headers", or_none(headers)));
        let torch = python.and_then(|p| p.torch.clone());
        let range = torch
            .as_deref()
            .and_then(crate::facts::torch_support)
            .map(|s| {
                format!(
                    "Python 3.{} – 3.{}, torch.compile ≤ 3.{} ({})",
                    s.python.0,
                    s.python.1,
                    s.compile_up_to,
                    crate::facts::CHECKED
                )
            });
        lines.push(("inv-torch", or_none(torch)));
        lines.push(("inv-torch-supports", or_none(range)));
        lines.push(("inv-triton", or_none(python.and_then(|p| p.triton.clone()))));
        let mut cxx = compiler_line(&self.cxx);
        if let Some(script) = &self.system.vcvars {
            cxx = format!("{cxx}; {script}");
        }
        lines.push(("inv-cxx", or_none(Some(cxx))));
        lines.push(("inv-cc", or_none(Some(compiler_line(&self.cc)))));
        lines.push((
            "inv-openmp",
            or_none(self.cxx.openmp.then(|| "-fopenmp".to_owned())),
        ));
        lines.push(("inv-tools", self.tools_line(&none())));
        lines.push(("inv-cpu", or_none(Some(self.cpu.join(" ")))));
        for folder in &self.folders {
            let label = match folder.purpose {
                "shared-memory" => "inv-shared-memory",
                _ => "inv-cache",
            };
            lines.push((label, folder_line(folder)));
        }
        lines.push(("inv-cuda", or_none(Some(self.cuda_line()))));
        lines.push(("inv-container", or_none(Some(self.limits.line()))));
        let shown: Vec<String> = self
            .environment
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        lines.push((
            "inv-environment",
            format!("{} ({})", shown.join(" "), catalog.text("inv-left-out")),
        ));
        lines
            .into_iter()
            .map(|(id, value)| (catalog.text(id), value))
            .collect()
    }

    fn user_line(&self) -> String {
        let name = self.user.name.as_deref().unwrap_or("?");
        match self.user.uid {
            Some(uid) if self.user.has_passwd_entry => format!("{name} (uid {uid})"),
            Some(uid) => format!("uid {uid}, /etc/passwd: –"),
            None => name.to_owned(),
        }
    }

    fn tools_line(&self, none: &str) -> String {
        let shown = self
            .tools
            .iter()
            .map(|t| format!("{} {}", t.name, t.path.as_deref().unwrap_or(none)));
        shown.collect::<Vec<_>>().join(", ")
    }

    fn cuda_line(&self) -> String {
        let cuda = &self.cuda;
        let parts = [
            ("driver", &cuda.driver),
            ("libcuda", &cuda.libcuda),
            ("CUDA_HOME", &cuda.home),
            ("nvcc", &cuda.nvcc),
            ("ptxas", &cuda.ptxas),
        ];
        let shown = parts
            .iter()
            .filter_map(|(name, value)| value.as_ref().map(|v| format!("{name} {v}")));
        shown.collect::<Vec<_>>().join(", ")
    }
}

fn python_line(python: &Python) -> String {
    let origin = python.origin().map_or("?", Origin::id);
    let environment = if python.in_virtual_environment() {
        format!(", venv of {}", python.base_prefix)
    } else {
        String::new()
    };
    format!(
        "{} {} ({origin}{environment})",
        python.version, python.executable
    )
}

fn compiler_line(facts: &CompilerFacts) -> String {
    let mut parts = Vec::new();
    if let (Some(program), Some(version)) = (&facts.program, &facts.version) {
        let flags = facts.flags.join(" ");
        parts.push(format!("{program}: {version}; builds with {flags}"));
    }
    parts.extend(facts.attempts.iter().cloned());
    parts.extend(facts.others.iter().map(|o| format!("{o}: not tried")));
    parts.join("; ")
}

fn folder_line(folder: &Folder) -> String {
    let mut marks = Vec::new();
    if let Some(free) = folder.free_bytes {
        marks.push(format!("{} MiB free", free >> 20));
    }
    if folder.no_exec {
        marks.push("noexec".to_owned());
    }
    if folder.read_only {
        marks.push("read-only".to_owned());
    }
    if let Some(error) = folder.write_error {
        marks.push(format!("not writable ({error:?})"));
    }
    if let Some(foreign) = &folder.foreign {
        marks.push(format!("{foreign} belongs to another user"));
    }
    marks.extend(folder.file_system.clone());
    format!("{} {} ({})", folder.purpose, folder.path, marks.join(", "))
}

/// What Inductor calls its cache folder after.
pub fn folder_name(system: &dyn System) -> String {
    folder_name_of(&user_facts(system))
}

fn folder_name_of(user: &UserFacts) -> String {
    let named = user.name.clone();
    named.unwrap_or_else(|| format!("uid_{}", user.uid.unwrap_or(0)))
}

fn user_facts(system: &dyn System) -> UserFacts {
    let user = system.user();
    let passwd = system.read_text("/etc/passwd").unwrap_or_default();
    let entry = user.uid.and_then(|uid| {
        let wanted = uid.to_string();
        passwd
            .lines()
            .find(|l| l.split(':').nth(2) == Some(wanted.as_str()))
            .and_then(|l| l.split(':').next())
            .map(str::to_owned)
    });
    // Directory services know users that the file does not.
    let by_service = || {
        let uid = user.uid?.to_string();
        let run = system.run(
            &Command::new("getent")
                .args(["passwd", &uid])
                .time_limit(Duration::from_secs(3)),
        );
        run.succeeded()
            .then(|| run.stdout.split(':').next().unwrap_or_default().to_owned())
            .filter(|n| !n.is_empty())
    };
    let named = entry.or_else(by_service);
    let has_passwd_entry = named.is_some() || user.uid.is_none();
    let variable = ["LOGNAME", "USER", "LNAME", "USERNAME"]
        .iter()
        .filter_map(|n| system.env(n))
        .find(|v| !v.is_empty());
    UserFacts {
        uid: user.uid,
        is_root: user.is_root,
        has_passwd_entry,
        name: variable.or(named),
    }
}

fn system_guess(
    system: &dyn System,
    python: Option<&Python>,
    user: &UserFacts,
) -> (SystemGuess, String) {
    let release = system.read_text("/etc/os-release").unwrap_or_default();
    let value = |key: &str| {
        let line = release
            .lines()
            .find_map(|l| l.strip_prefix(key).and_then(|l| l.strip_prefix('=')));
        line.map(|v| v.trim_matches('"').to_owned())
    };
    let family = match system.platform() {
        Platform::MacOs => Some(Family::MacOs),
        Platform::Windows => Some(Family::Windows),
        Platform::Linux => value("ID")
            .and_then(|id| Family::from_os_release_id(&id))
            .or_else(|| {
                value("ID_LIKE")
                    .and_then(|like| like.split(' ').find_map(Family::from_os_release_id))
            }),
    };
    let kernel = system.read_text("/proc/version").unwrap_or_default();
    let wsl = kernel.to_ascii_lowercase().contains("microsoft");
    let name = value("PRETTY_NAME").unwrap_or_else(|| format!("{:?}", system.platform()));
    let shown = format!(
        "{name} ({}{})",
        system.arch(),
        if wsl { ", WSL" } else { "" }
    );
    let codename = value("UBUNTU_CODENAME");
    let of_ubuntu = codename.as_deref().and_then(facts::ubuntu_release);
    let version = value("VERSION_ID");
    let guess = SystemGuess {
        family,
        // Derivatives count in their own way.
        version: match family {
            Some(Family::Ubuntu) => of_ubuntu.map(str::to_owned).or(version),
            _ => version,
        },
        origin: python
            .and_then(Python::origin)
            .map(|o| distinguish_archive(system, o)),
        arch: Some(system.arch()),
        python: python.map(Python::minor_version),
        python_exact: python.map(|p| p.version.clone()),
        container: limits::examine(system).container,
        wsl,
        root: rights(system, user),
        vcvars: None,
        stated: true,
    };
    (guess, shown)
}

/// All rights, none, or those of a program that may ask for a password.
fn rights(system: &dyn System, user: &UserFacts) -> Option<bool> {
    let may_become_root = ["sudo", "doas"].iter().any(|p| system.which(p).is_some());
    let unix = system.platform() != Platform::Windows;
    (user.is_root || (unix && !may_become_root)).then_some(user.is_root)
}

/// The system's own place also holds the interpreters of the deadsnakes archive.
fn distinguish_archive(system: &dyn System, origin: Origin) -> Origin {
    let lists = system
        .list(Path::new("/etc/apt/sources.list.d"))
        .unwrap_or_default();
    let has = lists
        .iter()
        .any(|f| f.to_string_lossy().contains("deadsnakes"));
    match origin {
        Origin::System if has => Origin::Deadsnakes,
        other => other,
    }
}

/// The version that headers in a folder are for.
pub fn header_version(system: &dyn System, include: &str) -> Option<String> {
    if !system.exists(&Path::new(include).join("Python.h")) {
        return None;
    }
    let text = system
        .read_text(&format!("{include}/patchlevel.h"))
        .unwrap_or_default();
    let line = text
        .lines()
        .find(|l| l.contains("PY_VERSION ") && l.contains('"'));
    Some(
        line.and_then(|l| l.split('"').nth(1))
            .unwrap_or("?")
            .to_owned(),
    )
}

const OTHER_CXX: &[&str] = &["g++", "clang++", "icpx"];
const OTHER_CC: &[&str] = &["gcc", "clang", "icx"];

fn compiler_facts(
    system: &dyn System,
    search: Option<&CxxSearch>,
    usual: &[&str],
) -> CompilerFacts {
    let Some(search) = search else {
        return CompilerFacts::default();
    };
    let describe = |a: &Attempt| match &a.result {
        AttemptResult::Works => None,
        AttemptResult::NotFound => Some(format!("{}: not found", a.name)),
        AttemptResult::TimedOut => Some(format!("{}: no answer in time", a.name)),
        AttemptResult::NoVersion(text) | AttemptResult::CannotBuild(text) => {
            let telling = text.lines().find(|l| l.contains("rror"));
            let line = telling.or_else(|| text.lines().next());
            Some(format!("{}: {}", a.name, line.unwrap_or_default()))
        }
    };
    // Names that are simply absent say little once the usual ones were tried.
    let tried = search
        .attempts
        .iter()
        .enumerate()
        .filter(|(i, a)| *i < 3 || a.result != AttemptResult::NotFound);
    let untried = usual
        .iter()
        .filter(|name| !search.attempts.iter().any(|a| a.name == **name));
    let flags = search.cxx.as_ref().map(|c| {
        let all = c.flags.iter().chain(&c.openmp_flags);
        let telling =
            all.filter(|f| !["-shared", "-fPIC", "-O3", "/nologo", "/LD"].contains(&f.as_str()));
        telling.cloned().collect()
    });
    CompilerFacts {
        program: search
            .cxx
            .as_ref()
            .map(|c| c.program.to_string_lossy().into_owned()),
        version: search.cxx.as_ref().map(|c| c.version_line.clone()),
        flags: flags.unwrap_or_default(),
        openmp: search
            .cxx
            .as_ref()
            .is_some_and(|c| !c.openmp_flags.is_empty()),
        attempts: tried.filter_map(|(_, a)| describe(a)).collect(),
        others: untried
            .filter_map(|name| system.which(name))
            .map(|path| path.to_string_lossy().into_owned())
            .collect(),
    }
}

fn tools(system: &dyn System) -> Vec<ToolFacts> {
    let find = |name: &'static str| {
        // ldconfig is used by its absolute path.
        let path = if name == "ldconfig" {
            system.which("/sbin/ldconfig")
        } else {
            system.which(name)
        };
        ToolFacts {
            name,
            path: path.map(|p| p.to_string_lossy().into_owned()),
        }
    };
    ["ld", "as", "ninja", "openssl", "ldconfig"]
        .into_iter()
        .map(find)
        .collect()
}

fn cpu_features(system: &dyn System) -> Vec<String> {
    let text = match system.platform() {
        // All of Apple's own processors have these.
        Platform::MacOs if system.arch() != "x86_64" => "Features: asimd".to_owned(),
        Platform::MacOs => {
            let names = ["machdep.cpu.features", "machdep.cpu.leaf7_features"];
            let ask = Command::new("sysctl").arg("-n").args(names);
            let run = system.run(&ask.time_limit(Duration::from_secs(3)));
            format!(
                "flags: {}",
                run.stdout.to_ascii_lowercase().replace('\n', " ")
            )
        }
        _ => system.read_text("/proc/cpuinfo").unwrap_or_default(),
    };
    let line = text
        .lines()
        .find(|l| l.starts_with("flags") || l.starts_with("Features"))
        .unwrap_or_default();
    let known = [
        "sse4_2",
        "avx",
        "avx1.0",
        "avx2",
        "fma",
        "f16c",
        "avx512f",
        "avx512bw",
        "avx512vl",
        "avx512_vnni",
        "avx512_bf16",
        "amx_tile",
        "asimd",
        "sve",
        "bf16",
        "i8mm",
    ];
    let words: Vec<&str> = line.split_whitespace().collect();
    known
        .iter()
        .filter(|k| words.contains(k))
        .map(|k| (*k).to_owned())
        .collect()
}

fn cuda_facts(system: &dyn System) -> CudaFacts {
    let first_line_with = |program: &str, args: &[&str], word: &str| {
        system.which(program)?;
        let run = system.run(
            &Command::new(program)
                .args(args.iter().copied())
                .time_limit(Duration::from_secs(5)),
        );
        run.combined()
            .lines()
            .find(|l| l.contains(word))
            .map(|l| l.trim().to_owned())
    };
    let driver = system
        .read_text("/proc/driver/nvidia/version")
        .and_then(|t| t.lines().next().map(str::to_owned));
    let home = system
        .env("CUDA_HOME")
        .or_else(|| system.env("CUDA_PATH"))
        .or_else(|| {
            system
                .is_dir(Path::new("/usr/local/cuda"))
                .then(|| "/usr/local/cuda".to_owned())
        });
    let libcuda = first_line_with("/sbin/ldconfig", &["-p"], "libcuda.so.1")
        .and_then(|l| l.split("=> ").nth(1).map(str::to_owned));
    CudaFacts {
        driver,
        libcuda,
        home,
        nvcc: first_line_with("nvcc", &["--version"], "release"),
        ptxas: first_line_with("ptxas", &["--version"], "release"),
    }
}

/// Variables that matter for toolchains; no other is ever shown.
const SHOWN_VARIABLES: &[&str] = &[
    "CC",
    "CXX",
    "CFLAGS",
    "CXXFLAGS",
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "LIBRARY_PATH",
    "LD_LIBRARY_PATH",
    "LDFLAGS",
    "TMPDIR",
    "CUDA_HOME",
    "CUDA_PATH",
    "TRITON_CACHE_DIR",
    "TRITON_LIBCUDA_PATH",
    "TRITON_PTXAS_PATH",
    "TORCHINDUCTOR_CACHE_DIR",
    "TORCH_EXTENSIONS_DIR",
    "TORCHINDUCTOR_COMPILE_THREADS",
    "TORCH_COMPILE_DISABLE",
    "TORCHDYNAMO_DISABLE",
    "MAX_JOBS",
    "OMP_NUM_THREADS",
    "OMP_PREFIX",
    "KMP_DUPLICATE_LIB_OK",
    "CONDA_PREFIX",
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "PYTHONHOME",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "PIP_INDEX_URL",
];

fn shown_environment(system: &dyn System) -> Vec<(String, String)> {
    let secrets = Secrets::of(system);
    let shown = |name: &&'static str| {
        let value = system.env(name).filter(|v| !v.is_empty())?;
        Some(((*name).to_owned(), secrets.hide(&value)))
    };
    SHOWN_VARIABLES.iter().filter_map(shown).collect()
}
