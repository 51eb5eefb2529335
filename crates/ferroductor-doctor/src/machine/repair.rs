//! Repairs that can be made automatically: planned, announced, applied.
//!
//! What must hold: a plan is data that is shown as it will be run; only steps
//! of the plan are carried out; variables are given to the probes and printed
//! for the user, because a process cannot change its parent's environment.

use super::{folders, inventory, python};
use crate::diagnosis::Report;
use crate::i18n::Catalog;
use crate::kind::Kind;
use crate::packages::{self, Need, with_python};
use crate::platform::{Origin, SystemGuess};
use ferroductor_toolchain::system::quote;
use ferroductor_toolchain::{Command, System};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Run(Vec<String>),
    SetVariable(String, String),
    CreateFolder(PathBuf),
}

/// One step of a plan and the kind it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub kind: Kind,
    pub action: Action,
}

impl Step {
    /// The step as a shell line.
    pub fn line(&self) -> String {
        match &self.action {
            Action::Run(words) => words.iter().map(|w| quote(w)).collect::<Vec<_>>().join(" "),
            Action::SetVariable(name, value) => format!("export {name}={}", quote(value)),
            Action::CreateFolder(path) => format!("mkdir -p {}", quote(&path.to_string_lossy())),
        }
    }
}

/// The steps that would repair what a report found, in order of dependency.
pub fn plan(system: &dyn System, python_name: Option<&str>, report: &Report) -> Vec<Step> {
    let guess = &report.facts.system;
    let planner = Planner {
        system,
        guess,
        python_name,
    };
    let mut steps: Vec<Step> = Vec::new();
    for finding in &report.findings {
        for action in planner.actions(finding.id) {
            let step = Step {
                kind: finding.id,
                action,
            };
            if !steps.iter().any(|s| s.action == step.action) {
                steps.push(step);
            }
        }
    }
    steps
}

struct Planner<'a> {
    system: &'a dyn System,
    guess: &'a SystemGuess,
    python_name: Option<&'a str>,
}

impl Planner<'_> {
    fn actions(&self, kind: Kind) -> Vec<Action> {
        use Kind::*;
        match kind {
            PythonHTriton | PythonHInductorCpp | PythonHCppExtension => self.python_headers(),
            NoCxxCompiler | NoCCompilerTriton => self.install(Need::CxxCompiler),
            HalfInstalledToolchain => self.install(Need::Binutils),
            LibcHeadersMissing => self.install(Need::LibcHeaders),
            OmpHLinux => self.openmp(),
            LibgompMissing => self.install(Need::OpenMpForGcc),
            OpensslProgramMissing => self.install(Need::OpenSsl),
            SetuptoolsMissing => self.pip(&["setuptools"]),
            NinjaMissing => self.pip(&["ninja"]),
            TritonMissing => self.pip(&["triton"]),
            NoSpaceLeft
            | NoexecTmp
            | CachePermissionDenied
            | ReadOnlyFilesystem
            | NetworkFilesystemCache
            | PathWithSpaces => self.move_folders(),
            UidWithoutPasswdEntry => self.name_user(),
            _ => Vec::new(),
        }
    }

    fn run(&self, line: &str) -> Action {
        Action::Run(line.split_whitespace().map(str::to_owned).collect())
    }

    /// Package managers need rights: as root, or by a sudo that asks nothing.
    fn may_install(&self) -> bool {
        let sudo = || {
            let command = Command::new("sudo")
                .args(["-n", "true"])
                .time_limit(Duration::from_secs(3));
            self.system.which("sudo").is_some() && self.system.run(&command).succeeded()
        };
        self.system.user().is_root || sudo()
    }

    fn install(&self, need: Need) -> Vec<Action> {
        let Some(family) = self.guess.family else {
            return Vec::new();
        };
        let Some(names) = packages::packages(need, family).filter(|_| self.may_install()) else {
            return Vec::new();
        };
        let names = with_python(names, self.guess.python.as_deref());
        // A package that is marked as installed while its files are gone is only
        // repaired by an explicit re-installation.
        let lines = packages::install_lines(family, &names, self.system.user().is_root);
        let lines = lines
            .into_iter()
            .map(|l| l.replace("apt-get install -y", "apt-get install -y --reinstall"));
        lines.map(|l| self.run(&l)).collect()
    }

    fn openmp(&self) -> Vec<Action> {
        let clang = self.system.env("CXX").is_some_and(|c| c.contains("clang"));
        if clang {
            self.install(Need::OpenMpForClang)
        } else {
            self.reinstall_gcc_files()
        }
    }

    /// omp.h belongs to the versioned development package, not to build-essential.
    fn reinstall_gcc_files(&self) -> Vec<Action> {
        let debian = matches!(
            self.guess.family,
            Some(crate::platform::Family::Debian | crate::platform::Family::Ubuntu)
        );
        let major = self
            .system
            .run(&Command::new("gcc").arg("-dumpversion"))
            .stdout;
        let major = major
            .trim()
            .split('.')
            .next()
            .unwrap_or_default()
            .to_owned();
        if !debian || major.is_empty() || !self.may_install() {
            return self.install(Need::OpenMpForGcc);
        }
        let sudo = if self.system.user().is_root {
            ""
        } else {
            "sudo "
        };
        vec![
            self.run(&format!("{sudo}apt-get update")),
            self.run(&format!(
                "{sudo}apt-get install -y --reinstall libgcc-{major}-dev libgomp1"
            )),
        ]
    }

    fn python_headers(&self) -> Vec<Action> {
        if let Some(folder) = self.headers_elsewhere() {
            let old = self
                .system
                .env("CPATH")
                .filter(|c| !c.is_empty())
                .map(|c| format!(":{c}"))
                .unwrap_or_default();
            return vec![Action::SetVariable(
                "CPATH".to_owned(),
                format!("{folder}{old}"),
            )];
        }
        match self.guess.origin {
            Some(Origin::Uv) => vec![self.run(&format!(
                "uv python install --reinstall {}",
                self.guess.python.as_deref().unwrap_or("3")
            ))],
            Some(Origin::Pyenv) => {
                vec![self.run(&format!("pyenv install --force {}", self.python_version()))]
            }
            Some(Origin::Conda) => vec![self.run(&format!(
                "conda install -y --force-reinstall python={}",
                self.python_version()
            ))],
            _ => self.install(Need::PythonHeaders),
        }
    }

    fn python_version(&self) -> String {
        python::ask(self.system, self.python_name)
            .map(|p| p.version)
            .unwrap_or_else(|_| self.guess.python.clone().unwrap_or_default())
    }

    /// A folder on this machine with headers of exactly this version.
    fn headers_elsewhere(&self) -> Option<String> {
        let wanted = self.guess.python.as_deref()?;
        let home = self.system.env("HOME").unwrap_or_default();
        let mut folders = vec![
            format!("/usr/include/python{wanted}"),
            format!("/usr/local/include/python{wanted}"),
        ];
        for root in [
            format!("{home}/.pyenv/versions"),
            format!("{home}/.local/share/uv/python"),
            "/opt".to_owned(),
            format!("{home}/miniconda3/envs"),
        ] {
            for entry in self.system.list(Path::new(&root)).unwrap_or_default() {
                folders.push(format!("{}/include/python{wanted}", entry.display()));
            }
        }
        let fits = |dir: &String| {
            inventory::header_version(self.system, dir)
                .is_some_and(|v| v.starts_with(&format!("{wanted}.")))
        };
        folders.into_iter().find(fits)
    }

    fn pip(&self, packages: &[&str]) -> Vec<Action> {
        let Ok(python) = python::ask(self.system, self.python_name) else {
            return Vec::new();
        };
        let mut words: Vec<String> = [python.executable.as_str(), "-m", "pip", "install"]
            .iter()
            .map(|s| (*s).to_owned())
            .collect();
        words.extend(packages.iter().map(|p| (*p).to_owned()));
        vec![Action::Run(words)]
    }

    fn move_folders(&self) -> Vec<Action> {
        let Some(base) = folders::find_usable(self.system) else {
            return Vec::new();
        };
        let base = base.join("ferroductor-toolchain");
        let table = [
            ("TMPDIR", "tmp"),
            ("TORCHINDUCTOR_CACHE_DIR", "inductor"),
            ("TRITON_CACHE_DIR", "triton"),
            ("TORCH_EXTENSIONS_DIR", "torch_extensions"),
        ];
        let mut actions = Vec::new();
        for (variable, name) in table {
            let path = base.join(name);
            actions.push(Action::CreateFolder(path.clone()));
            actions.push(Action::SetVariable(
                variable.to_owned(),
                path.to_string_lossy().into_owned(),
            ));
        }
        actions
    }

    fn name_user(&self) -> Vec<Action> {
        let name = format!("uid{}", self.system.user().uid.unwrap_or(0));
        ["USER", "LOGNAME"]
            .iter()
            .map(|v| Action::SetVariable((*v).to_owned(), name.clone()))
            .collect()
    }
}

/// Carries out a plan; returns the variables that were set.
pub fn apply(system: &dyn System, plan: &[Step], catalog: &Catalog) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for step in plan {
        let line = step.line();
        let done = match &step.action {
            Action::SetVariable(name, value) => {
                variables.push((name.clone(), value.clone()));
                eprintln!(
                    "{}",
                    catalog.format("ui-persist-variable", &[("line", &line)])
                );
                continue;
            }
            Action::CreateFolder(path) => system.create_dir_all(path).map_err(|e| e.to_string()),
            Action::Run(words) => run_step(system, words, &variables),
        };
        match done {
            Ok(()) => eprintln!("{}", catalog.format("ui-applied", &[("command", &line)])),
            Err(error) => {
                eprintln!(
                    "{}",
                    catalog.format("ui-apply-failed", &[("command", &line)])
                );
                eprintln!("{error}");
            }
        }
    }
    variables
}

fn run_step(
    system: &dyn System,
    words: &[String],
    variables: &[(String, String)],
) -> Result<(), String> {
    let Some((program, args)) = words.split_first() else {
        return Ok(());
    };
    let mut command = Command::new(program)
        .args(args.iter().cloned())
        .time_limit(Duration::from_secs(1800));
    command = command.env("DEBIAN_FRONTEND", "noninteractive");
    for (name, value) in variables {
        command = command.env(name, value);
    }
    let run = system.run(&command);
    if run.succeeded() {
        return Ok(());
    }
    let text = run.combined();
    let lines: Vec<&str> = text.lines().collect();
    Err(lines[lines.len().saturating_sub(8)..].join("\n"))
}
