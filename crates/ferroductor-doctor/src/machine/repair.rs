//! Repairs that can be made automatically: planned, announced, applied.
//!
//! What must hold: a plan is data that is shown as it will be run; only steps
//! of the plan are carried out; a variable, which a process cannot set for its
//! parent, is given to the probes and written to a file that the plan names.

mod apply;
mod unpack;

use super::{folders, inventory, python};
use crate::diagnosis::Report;
use crate::facts;
use crate::fixes;
use crate::kind::Kind;
use crate::packages::{self, Need, with_python};
use crate::platform::{Family, Origin, SystemGuess};
pub use apply::{Applied, apply};
use ferroductor_toolchain::system::quote;
use ferroductor_toolchain::{Command, Platform, System};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Run(Vec<String>),
    /// Runs, but what follows can succeed without it, such as a refreshed list of packages.
    Attempt(Vec<String>),
    CreateFolder(PathBuf),
    /// A script that is written and made executable.
    WriteProgram(PathBuf, String),
    SetVariable(String, String),
    /// Writes the variables of the plan to a file that a shell can load.
    WriteVariables(PathBuf, Vec<(String, String)>),
}

/// One step of a plan and the kind it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub kind: Kind,
    pub action: Action,
}

impl Step {
    /// The step as lines of the platform's shell.
    pub fn line(&self, platform: Platform) -> String {
        let quote = |word: &str| quote_for(platform, word);
        let shown = |path: &Path| quote(&path.to_string_lossy());
        match &self.action {
            Action::Run(words) | Action::Attempt(words) => {
                words.iter().map(|w| quote(w)).collect::<Vec<_>>().join(" ")
            }
            Action::CreateFolder(path) if platform == Platform::Windows => {
                format!("mkdir {}", shown(path))
            }
            Action::CreateFolder(path) => format!("mkdir -p {}", shown(path)),
            Action::WriteProgram(path, text) => {
                format!("cat > {} <<'END'\n{text}END", shown(path))
            }
            Action::SetVariable(name, value) => match platform {
                Platform::Windows => format!("set {name}={value}"),
                _ => export_line(name, value),
            },
            Action::WriteVariables(path, _) => {
                format!("write these variables to {}", shown(path))
            }
        }
    }

    /// The step in one line, for what was announced in full.
    pub fn short_line(&self, platform: Platform) -> String {
        match &self.action {
            Action::WriteProgram(path, _) => format!("write {}", path.display()),
            _ => self.line(platform),
        }
    }
}

/// One word for the shell of a platform.
fn quote_for(platform: Platform, word: &str) -> String {
    match platform {
        Platform::Windows if word.contains(' ') => format!("\"{word}\""),
        Platform::Windows => word.to_owned(),
        _ => quote(word),
    }
}

/// A line that sets a variable in a POSIX shell.
pub fn export_line(name: &str, value: &str) -> String {
    format!("export {name}={}", quote(value))
}

/// What will be done, and for which findings nothing can be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub by_hand: Vec<Kind>,
}

/// The steps that would repair what a report found, in order of dependency.
pub fn plan(system: &dyn System, python_name: Option<&str>, report: &Report) -> Plan {
    let mut planner = Planner {
        system,
        guess: &report.facts.system,
        python_name,
        may_install: None,
        wanted: Vec::new(),
    };
    let mut plan = Plan::default();
    for finding in &report.findings {
        let before = planner.wanted.len();
        let actions = planner.actions(finding.id, finding_place(finding));
        if actions.is_empty() && planner.wanted.len() == before {
            plan.by_hand.push(finding.id);
        }
        for action in actions {
            let step = Step {
                kind: finding.id,
                action,
            };
            if !plan.steps.iter().any(|s| s.action == step.action) {
                plan.steps.push(step);
            }
        }
    }
    planner.unpack_wanted(&mut plan);
    persist_variables(system, &mut plan);
    plan
}

/// The folder a finding is about, as its evidence names it.
fn finding_place(finding: &crate::diagnosis::Finding) -> &str {
    finding
        .evidence
        .first()
        .map_or("", |line| line.text.as_str())
}

/// Ends a plan that sets variables with the file that keeps them.
fn persist_variables(system: &dyn System, plan: &mut Plan) {
    let variables: Vec<(String, String)> = plan
        .steps
        .iter()
        .filter_map(|s| match &s.action {
            Action::SetVariable(name, value) => Some((name.clone(), value.clone())),
            _ => None,
        })
        .collect();
    let Some(last) = plan.steps.last().filter(|_| !variables.is_empty()) else {
        return;
    };
    let kind = last.kind;
    if system.platform() == Platform::Windows {
        // There the user's environment has a program of its own.
        for (name, value) in variables {
            let words = vec!["setx".to_owned(), name, value];
            plan.steps.push(Step {
                kind,
                action: Action::Run(words),
            });
        }
        return;
    }
    if let Some(path) = variables_file(system) {
        plan.steps.push(Step {
            kind,
            action: Action::WriteVariables(path, variables),
        });
    }
}

/// The file for variables: in the user's configuration, or where anything can be written.
fn variables_file(system: &dyn System) -> Option<PathBuf> {
    let set = |name: &str| system.env(name).filter(|v| !v.is_empty());
    let configuration = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|h| h + "/.config"));
    let writable = |dir: &PathBuf| folders::is_writable(system, dir);
    let base = configuration
        .map(PathBuf::from)
        .filter(writable)
        .or_else(|| folders::find_usable(system))?;
    Some(base.join("ferroductor").join("toolchain.sh"))
}

struct Planner<'a> {
    system: &'a dyn System,
    guess: &'a SystemGuess,
    python_name: Option<&'a str>,
    may_install: Option<bool>,
    /// What could not be installed for want of rights, and may be unpacked instead.
    wanted: Vec<(Kind, Need)>,
}

impl Planner<'_> {
    fn actions(&mut self, kind: Kind, place: &str) -> Vec<Action> {
        use Kind::*;
        match kind {
            PythonHTriton | PythonHInductorCpp | PythonHCppExtension => self.python_headers(kind),
            NoCxxCompiler | NoCCompilerTriton => self.compiler(kind),
            MsvcClNotFound => self.build_tools(),
            HalfInstalledToolchain => self.install(kind, Need::Binutils),
            LibcHeadersMissing => self.install(kind, Need::LibcHeaders),
            OmpHLinux => self.openmp(kind),
            LibgompMissing => self.install(kind, Need::OpenMpForGcc),
            OpensslProgramMissing => self.install(kind, Need::OpenSsl),
            LdconfigMissing => self.install(kind, Need::LdConfig),
            SetuptoolsMissing => self.pip(kind, "setuptools", Need::Setuptools),
            NinjaMissing => self.ninja(kind),
            TritonMissing => self.triton(),
            NoSpaceLeft
            | NoexecTmp
            | CachePermissionDenied
            | ReadOnlyFilesystem
            | NetworkFilesystemCache
            | PathWithSpaces
                if !place.starts_with("/dev/shm") =>
            {
                self.move_folders()
            }
            UidWithoutPasswdEntry => self.name_user(),
            _ => Vec::new(),
        }
    }

    fn run(&self, line: &str) -> Action {
        Action::Run(line.split_whitespace().map(str::to_owned).collect())
    }

    fn root(&self) -> bool {
        self.system.user().is_root
    }

    /// Package managers need rights: as root, or by a sudo that asks nothing.
    fn may_install(&mut self) -> bool {
        if let Some(known) = self.may_install {
            return known;
        }
        let sudo = || {
            let command = Command::new("sudo")
                .args(["-n", "true"])
                .time_limit(Duration::from_secs(3));
            self.system.which("sudo").is_some() && self.system.run(&command).succeeded()
        };
        let may = self.root() || self.guess.family == Some(Family::MacOs) || sudo();
        self.may_install = Some(may);
        may
    }

    /// With rights by the package manager; without, it is noted for unpacking.
    fn install(&mut self, kind: Kind, need: Need) -> Vec<Action> {
        if self.conda() {
            return self.install_conda(need);
        }
        let Some(family) = self.guess.family else {
            return Vec::new();
        };
        let (release, python) = (self.guess.version.as_deref(), self.guess.python.as_deref());
        let Some(names) = packages::names(need, family, release, python) else {
            return Vec::new();
        };
        if !self.may_install() {
            if unpack::is_possible(self.system, family, need) {
                self.wanted.push((kind, need));
            }
            return Vec::new();
        }
        self.install_names(family, &names)
    }

    fn install_names(&self, family: Family, names: &str) -> Vec<Action> {
        let lines = packages::install_lines(family, names, self.root());
        let mut actions = Vec::new();
        for line in lines {
            // A stale list of packages is no reason not to try.
            if line.contains("apt-get update") {
                let words = line.split_whitespace().map(str::to_owned).collect();
                actions.push(Action::Attempt(words));
            } else {
                actions.push(self.run(&self.reinstalling(&line, names)));
            }
        }
        actions
    }

    /// A package that counts as installed while its files are gone is only
    /// repaired when its re-installation is asked for.
    fn reinstalling(&self, line: &str, names: &str) -> String {
        let installed = |name: &str| {
            let ask = Command::new("dpkg-query").args(["-W", "-f=${Status}", name]);
            let run = self.system.run(&ask);
            run.succeeded() && run.stdout.contains("install ok installed")
        };
        if line.contains("apt-get install") && names.split(' ').any(installed) {
            return line.replace("apt-get install", "apt-get install --reinstall");
        }
        line.to_owned()
    }

    fn conda(&self) -> bool {
        self.guess.origin == Some(Origin::Conda)
    }

    fn install_conda(&self, need: Need) -> Vec<Action> {
        // What conda calls a compiler on Windows is a script that looks for Microsoft's.
        if self.system.platform() == Platform::Windows && packages::is_part_of_compiler(need) {
            return Vec::new();
        }
        let Some(names) = packages::conda_packages(need) else {
            return Vec::new();
        };
        let names = with_python(names, self.guess.python.as_deref());
        self.conda_install(&["-c", "conda-forge"], &names)
    }

    /// Into the environment of the examined interpreter, whichever is active.
    fn conda_install(&self, options: &[&str], names: &str) -> Vec<Action> {
        let program = ["conda", "mamba", "micromamba"]
            .iter()
            .find(|p| self.system.which(p).is_some());
        let prefix = python::ask(self.system, self.python_name).map(|p| p.prefix);
        let (Some(program), Ok(prefix)) = (program, prefix) else {
            return Vec::new();
        };
        let mut words = vec![*program, "install", "-y", "-p", &prefix];
        words.extend(options);
        words.extend(names.split(' '));
        vec![Action::Run(words.iter().map(|w| (*w).to_owned()).collect())]
    }

    /// A name or a first program on PATH that does not work gives way to one that is there.
    fn compiler(&mut self, kind: Kind) -> Vec<Action> {
        let (variable, usual) = match kind {
            Kind::NoCxxCompiler => ("CXX", "g++"),
            _ => ("CC", "gcc"),
        };
        let named = self.system.env(variable).filter(|v| !v.trim().is_empty());
        let first = named
            .map(PathBuf::from)
            .or_else(|| self.system.which(usual));
        if let Some(first) = first {
            let places = ["/usr/bin", "/usr/local/bin"];
            let other = places
                .iter()
                .map(|dir| Path::new(dir).join(usual))
                .find(|p| *p != first && self.system.which(&p.to_string_lossy()).is_some());
            if let Some(path) = other {
                let path = path.to_string_lossy().into_owned();
                return vec![Action::SetVariable(variable.to_owned(), path)];
            }
        }
        // The command line tools ask in a window of their own; Homebrew needs them too.
        if self.guess.family == Some(Family::MacOs) {
            return vec![self.run("xcode-select --install")];
        }
        self.install(kind, Need::CxxCompiler)
    }

    /// Installs Microsoft's compiler. One that is installed has to be set up in the
    /// console that starts the program, which nobody can do for it.
    fn build_tools(&self) -> Vec<Action> {
        if self.guess.vcvars.is_some() || self.system.which("winget").is_none() {
            return Vec::new();
        }
        vec![Action::Run(fixes::build_tools())]
    }

    fn openmp(&mut self, kind: Kind) -> Vec<Action> {
        let clang = self.system.env("CXX").is_some_and(|c| c.contains("clang"));
        if clang {
            return self.install(kind, Need::OpenMpForClang);
        }
        let debian = matches!(self.guess.family, Some(Family::Debian | Family::Ubuntu));
        let version = self.system.run(&Command::new("gcc").arg("-dumpversion"));
        let major: String = version
            .stdout
            .trim()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        if !debian || major.is_empty() || !self.may_install() {
            return self.install(kind, Need::OpenMpForGcc);
        }
        // omp.h belongs to the versioned development package, not to build-essential.
        self.install_names(Family::Debian, &format!("libgcc-{major}-dev libgomp1"))
    }

    fn python_headers(&mut self, kind: Kind) -> Vec<Action> {
        let system_python = matches!(
            self.guess.origin,
            Some(Origin::System | Origin::Deadsnakes) | None
        );
        // The package is the better repair: it stays right when Python is updated.
        if system_python && self.guess.family.is_some() && self.may_install() {
            return self.headers_from_an_archive(kind);
        }
        if let Some(folder) = self.headers_elsewhere() {
            return vec![self.search_also("CPATH", &folder)];
        }
        let version = self.python_version();
        let minor = self.guess.python.clone().unwrap_or_default();
        match self.guess.origin {
            Some(Origin::Uv) => {
                vec![self.run(&format!("uv python install --reinstall {version}"))]
            }
            Some(Origin::Pyenv) => vec![self.run(&format!("pyenv install --force {version}"))],
            Some(Origin::Conda) => {
                self.conda_install(&["--force-reinstall"], &format!("python={version}"))
            }
            Some(Origin::Homebrew) => vec![self.run(&format!("brew reinstall python@{minor}"))],
            Some(Origin::Xcode) => vec![self.run("xcode-select --install")],
            Some(Origin::UsrLocal) => self.headers_of_the_distribution(kind),
            Some(Origin::PythonOrg) if self.system.platform() == Platform::Windows => {
                vec![self.run(&format!(
                    "winget install --exact --id Python.Python.{minor} --force"
                ))]
            }
            Some(Origin::PythonOrg | Origin::Embedded | Origin::Nix) => Vec::new(),
            _ => self.install(kind, Need::PythonHeaders),
        }
    }

    /// The release's own archive, or deadsnakes where that one lacks this Python.
    fn headers_from_an_archive(&mut self, kind: Kind) -> Vec<Action> {
        let python = self.guess.python.clone().unwrap_or_default();
        let release = self.guess.version.clone().unwrap_or_default();
        let has = |family| facts::archive_has_python(family, &release, &python);
        match self.guess.family {
            Some(family) if self.lacks(has(family)) && family == Family::Ubuntu => {
                let sudo = if self.root() { "" } else { "sudo " };
                let lines = fixes::deadsnakes(&python, sudo);
                lines.iter().map(|line| self.run(line)).collect()
            }
            Some(family) if self.lacks(has(family)) => Vec::new(),
            _ => self.install(kind, Need::PythonHeaders),
        }
    }

    /// Whether another archive is needed and not set up yet.
    fn lacks(&self, archive_has: Option<bool>) -> bool {
        archive_has == Some(false) && self.guess.origin != Some(Origin::Deadsnakes)
    }

    /// For a Python in /usr/local, where the archive has headers of the same version.
    fn headers_of_the_distribution(&mut self, kind: Kind) -> Vec<Action> {
        let python = self.guess.python.clone().unwrap_or_default();
        let release = self.guess.version.clone().unwrap_or_default();
        let own = |family| facts::distro_python(family, &release);
        if self.guess.family.and_then(own) != Some(python.as_str()) {
            return Vec::new();
        }
        let mut actions = self.install(kind, Need::PythonHeaders);
        if !actions.is_empty() {
            actions.push(self.search_also("CPATH", &format!("/usr/include/python{python}")));
        }
        actions
    }

    /// A search path with a folder before what it holds already.
    fn search_also(&self, variable: &str, folder: &str) -> Action {
        let before = self.system.env(variable).filter(|v| !v.is_empty());
        let value = match before {
            Some(before) => format!("{folder}:{before}"),
            None => folder.to_owned(),
        };
        Action::SetVariable(variable.to_owned(), value)
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
            format!("{home}/miniconda3/envs"),
            format!("{home}/miniforge3/envs"),
            "/opt".to_owned(),
            "/opt/conda/envs".to_owned(),
            "/root/.pyenv/versions".to_owned(),
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

    /// Into the environment; a Python that its distribution manages takes the package.
    fn pip(&mut self, kind: Kind, requirement: &str, package: Need) -> Vec<Action> {
        let Ok(python) = python::ask(self.system, self.python_name) else {
            return Vec::new();
        };
        if python.is_externally_managed(self.system) {
            return self.install(kind, package);
        }
        install_into(self.system, &python, requirement)
    }

    fn ninja(&mut self, kind: Kind) -> Vec<Action> {
        let Ok(python) = python::ask(self.system, self.python_name) else {
            return Vec::new();
        };
        let windows = self.system.platform() == Platform::Windows;
        let bin = Path::new(&python.executable).parent();
        let program = if windows { "ninja.exe" } else { "ninja" };
        let installed = bin.is_some_and(|b| self.system.exists(&b.join(program)));
        if installed {
            // The environment's programs are not on PATH; Windows' own PATH is
            // too easily damaged for a program to change it.
            let folder = bin.filter(|_| !windows);
            return folder.map(|b| self.on_path(b)).into_iter().collect();
        }
        if python.is_externally_managed(self.system) {
            return self.install(kind, Need::Ninja);
        }
        let mut actions = install_into(self.system, &python, "ninja");
        let path = self.system.env("PATH").unwrap_or_default();
        let found = |bin: &Path| path.split(':').any(|p| Path::new(p) == bin);
        if let Some(bin) = bin.filter(|b| !windows && !found(b) && !actions.is_empty()) {
            actions.push(self.on_path(bin));
        }
        actions
    }

    fn on_path(&self, folder: &Path) -> Action {
        let path = self.system.env("PATH").unwrap_or_default();
        Action::SetVariable("PATH".to_owned(), format!("{}:{path}", folder.display()))
    }

    /// The Triton that the installed torch asks for.
    fn triton(&self) -> Vec<Action> {
        let Ok(python) = python::ask(self.system, self.python_name) else {
            return Vec::new();
        };
        if python.is_externally_managed(self.system) {
            return Vec::new();
        }
        let pinned = python
            .torch_wants
            .iter()
            .find(|r| r.starts_with("triton"))
            .and_then(|r| r.split(';').next());
        let name = if self.system.platform() == Platform::Windows {
            "triton-windows"
        } else {
            pinned.unwrap_or("triton").trim()
        };
        install_into(self.system, &python, name)
    }

    /// Moves the folders that are unusable, and no others.
    fn move_folders(&self) -> Vec<Action> {
        let Some(base) = folders::find_usable(self.system) else {
            return Vec::new();
        };
        let base = base.join("ferroductor-toolchain");
        let name = inventory::folder_name(self.system);
        let mut actions = Vec::new();
        for folder in folders::examine(self.system, &name) {
            let movable = !folder.variable.is_empty();
            if movable && (folder.is_unusable() || folder.path.contains(' ')) {
                let path = base.join(folder.purpose);
                actions.push(Action::CreateFolder(path.clone()));
                let value = path.to_string_lossy().into_owned();
                actions.push(Action::SetVariable(folder.variable.to_owned(), value));
            }
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

    /// Packages that may not be installed are unpacked into the user's home, all at once.
    fn unpack_wanted(&mut self, plan: &mut Plan) {
        let Some((kind, _)) = self.wanted.first().copied() else {
            return;
        };
        let needs: Vec<Need> = self.wanted.iter().map(|(_, need)| *need).collect();
        let actions = unpack::actions(self.system, self.guess, &needs);
        if actions.is_empty() {
            plan.by_hand
                .extend(self.wanted.iter().map(|(kind, _)| *kind));
        }
        let steps = actions.into_iter().map(|action| Step { kind, action });
        plan.steps.extend(steps);
    }
}

/// Installs a requirement into an environment, with what the environment has.
fn install_into(system: &dyn System, python: &python::Python, requirement: &str) -> Vec<Action> {
    let words = |words: &[&str]| Action::Run(words.iter().map(|w| (*w).to_owned()).collect());
    let executable = python.executable.as_str();
    if python.pip.is_some() {
        vec![words(&[executable, "-m", "pip", "install", requirement])]
    } else if system.which("uv").is_some() {
        vec![words(&[
            "uv",
            "pip",
            "install",
            "--python",
            executable,
            requirement,
        ])]
    } else {
        vec![
            words(&[executable, "-m", "ensurepip"]),
            words(&[executable, "-m", "pip", "install", requirement]),
        ]
    }
}
