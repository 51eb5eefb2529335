//! Which fixes repair a kind of failure on a given system, as data.
//!
//! What must hold: a stated or examined system gets its own fix first and no
//! other system's; an unknown one gets the fixes of all. Nothing here is run:
//! [`crate::machine::repair`] does that after asking.

mod kinds;
mod macos;
mod python;
#[cfg(test)]
mod systems_tests;
mod windows;

use crate::diagnosis::{Fix, Grade, Step};
use crate::facts;
use crate::i18n::Catalog;
use crate::kind::Kind;
use crate::packages::{self, Need, with_python};
use crate::platform::{Family, Origin, SystemGuess};
use ferroductor_toolchain::system::quote;

pub use kinds::build_tools;
pub use python::deadsnakes;

/// Fixes, ways around them, and how to verify.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub fixes: Vec<Fix>,
    pub without: Vec<Fix>,
    pub verify: Vec<Step>,
}

/// Collects a plan; the kinds' recipes call its methods.
pub struct Planner<'a> {
    catalog: &'a Catalog,
    pub system: &'a SystemGuess,
    pub subject: &'a str,
    plan: Plan,
}

/// The plan for a kind on a system.
pub fn plan(kind: Kind, subject: &str, system: &SystemGuess, catalog: &Catalog) -> Plan {
    let mut planner = Planner {
        catalog,
        system,
        subject,
        plan: Plan::default(),
    };
    kinds::recipe(kind, &mut planner);
    planner.add_platform_default();
    planner.add_way_out();
    planner.plan.fixes.sort_by_key(|f| f.grade);
    // What comes first without being recommended is the best there is.
    if let Some(first) = planner.plan.fixes.first_mut() {
        first.grade = Grade::Recommended;
    }
    match system.family {
        Some(Family::Windows) => windows::translate(&mut planner.plan),
        Some(Family::MacOs) => macos::translate(&mut planner.plan),
        _ => {}
    }
    planner.plan
}

impl Planner<'_> {
    pub fn python(&self) -> &str {
        self.system.python.as_deref().unwrap_or("3")
    }

    /// `3.13.2` where the interpreter itself was asked, else as much as is known.
    pub fn exact_python(&self) -> &str {
        let exact = self.system.python_exact.as_deref();
        exact.unwrap_or_else(|| self.python())
    }

    /// `python3.13`, or `python3` when the version is unknown.
    pub fn python_program(&self) -> String {
        if self.system.family == Some(Family::Windows) {
            return "python".to_owned();
        }
        format!("python{}", self.python())
    }

    fn root(&self) -> bool {
        self.system.root == Some(true)
    }

    /// The families whose fixes are shown: the known one, or all.
    pub fn families(&self) -> Vec<Family> {
        match self.system.family {
            Some(family) => vec![family],
            None if self.conda() => Vec::new(),
            None => Family::ALL.to_vec(),
        }
    }

    pub fn conda(&self) -> bool {
        self.system.origin == Some(Origin::Conda)
    }

    fn push(&mut self, fix: Fix) {
        if !self.plan.fixes.contains(&fix) {
            self.plan.fixes.push(fix);
        }
    }

    fn title(&self, id: &str) -> String {
        let arguments = [
            ("python", self.python()),
            ("exact", self.exact_python()),
            ("subject", self.subject),
        ];
        self.catalog.format(id, &arguments)
    }

    fn fix(&self, id: &'static str, grade: Grade, commands: Vec<String>) -> Fix {
        let fetches = |c: &String| c.contains("pip ") || c.contains("install");
        Fix {
            id,
            grade,
            title: self.title(id),
            system: None,
            needs_root: packages::needs_root(&commands),
            needs_network: commands.iter().any(fetches),
            commands,
        }
    }

    /// A fix that is the same on every system.
    pub fn general(&mut self, id: &'static str, grade: Grade, commands: &[&str]) {
        let fix = self.fix(id, grade, self.fill(commands));
        self.push(fix);
    }

    /// A fix for one family or origin, shown when that may be the system.
    pub fn for_system(
        &mut self,
        id: &'static str,
        system: &str,
        grade: Grade,
        commands: &[String],
    ) {
        let fix = self.fix(id, grade, commands.to_vec());
        self.push(Fix {
            system: Some(system.to_owned()),
            needs_network: true,
            ..fix
        });
    }

    fn fill(&self, commands: &[&str]) -> Vec<String> {
        let program = self.python_program();
        // What a log names must not become a command of its own.
        let subject = match self.system.family {
            Some(Family::Windows) => format!("\"{}\"", self.subject.replace(['"', '%'], "")),
            _ => quote(self.subject),
        };
        let filled = |c: &&str| {
            with_python(c, self.system.python.as_deref())
                .replace("{exact}", self.exact_python())
                .replace("{python}", &program)
                .replace("{subject}", &subject)
        };
        commands.iter().map(filled).collect()
    }

    fn package_names(&self, need: Need, family: Family) -> Option<String> {
        let version = self.system.version.as_deref();
        packages::names(need, family, version, self.system.python.as_deref())
    }

    /// Whether the archive of this release is known not to have this Python.
    pub fn lacks_python(&self, family: Family) -> bool {
        let version = self.system.version.as_deref().unwrap_or_default();
        let added = self.system.origin == Some(Origin::Deadsnakes);
        !added && facts::archive_has_python(family, version, self.python()) == Some(false)
    }

    /// Whether the archive of the known release has this Python.
    pub fn archive_has_python(&self) -> bool {
        let version = self.system.version.as_deref().unwrap_or_default();
        let has = |family| facts::archive_has_python(family, version, self.python());
        self.system.family.and_then(has) == Some(true)
    }

    /// Installs a need with each family's package manager, and in a Dockerfile.
    pub fn install(&mut self, need: Need) {
        for family in self.families() {
            let Some(names) = self.package_names(need, family) else {
                continue;
            };
            if need == Need::PythonHeaders && self.lacks_python(family) {
                continue;
            }
            self.install_packages(need, family, &names);
            self.dockerfile(family, &names);
        }
        if let Some(names) =
            packages::nix_packages(need).filter(|_| self.families().contains(&Family::NixOs))
        {
            let names = with_python(names, self.system.python.as_deref());
            self.for_system(
                "fix-nix",
                "NixOS, nix",
                // Elsewhere few have it; whoever does not name a system needs another way.
                if self.system.family == Some(Family::NixOs) {
                    Grade::Recommended
                } else {
                    Grade::Alternative
                },
                &[format!("nix-shell -p {names}")],
            );
        }
        self.install_conda(need);
        self.ways_without_root(need);
        self.ways_offline(need);
    }

    /// Packages of the system come first, unless nobody here may install them.
    fn install_packages(&mut self, need: Need, family: Family, names: &str) {
        let may_install = self.system.root != Some(false) || family == Family::MacOs;
        let grade = if self.conda() || !may_install {
            Grade::Alternative
        } else {
            Grade::Recommended
        };
        let mut commands = packages::install_lines(family, names, self.is_root_here());
        if commands.is_empty() {
            return;
        }
        // A package whose files were removed counts as installed.
        if need == Need::PythonHeaders && family == Family::Arch {
            commands = commands
                .iter()
                .map(|c| c.replace("--needed ", ""))
                .collect();
        }
        if need == Need::NewerCompiler {
            commands.extend(newer_compiler_lines(family, names));
        }
        let title = self
            .catalog
            .format("fix-install-packages", &[("packages", names)]);
        self.push(Fix {
            id: "fix-install-packages",
            grade,
            title,
            system: Some(family.name().to_owned()),
            needs_root: family != Family::MacOs,
            commands,
            needs_network: true,
        });
    }

    /// A compiler of one version beside the usual one.
    pub fn install_older_compiler(&mut self, version: u32) {
        for family in self.families() {
            let Some(names) = packages::older_compiler(family, version) else {
                continue;
            };
            self.install_packages(Need::CxxCompiler, family, &names);
            self.dockerfile(family, &names);
        }
        if self.system.family.is_none_or(Family::is_linux) {
            let line = format!("conda install -y -c conda-forge gxx={version}");
            self.for_system("fix-conda", "conda, mamba", Grade::Alternative, &[line]);
        }
    }

    /// Without other knowledge, who builds an image is root in it.
    pub fn is_root_here(&self) -> bool {
        self.root() || (self.system.container && self.system.root.is_none())
    }

    fn dockerfile(&mut self, family: Family, names: &str) {
        if let Some(line) = packages::dockerfile_line(family, names) {
            self.dockerfile_line(family.name(), line);
        }
    }

    pub fn dockerfile_line(&mut self, system: &str, line: String) {
        // On a machine that is known not to be a container the line only distracts.
        if self.system.stated && !self.system.container {
            return;
        }
        let grade = if self.system.container {
            Grade::Recommended
        } else {
            Grade::Alternative
        };
        self.for_system("fix-dockerfile", system, grade, &[line]);
    }

    fn install_conda(&mut self, need: Need) {
        let elsewhere = self.system.stated && !self.conda();
        let Some(names) = packages::conda_packages(need).filter(|_| !elsewhere) else {
            return;
        };
        let names = with_python(names, self.system.python.as_deref());
        // In an environment that has this Python, the package counts as installed.
        let again = need == Need::PythonHeaders && self.conda();
        let options = if again { " --force-reinstall" } else { "" };
        let grade = if self.conda() {
            Grade::Recommended
        } else {
            Grade::Alternative
        };
        let line = format!("conda install -y{options} -c conda-forge {names}");
        if self.conda() {
            self.dockerfile_line("conda, mamba", format!("RUN {line}"));
        }
        self.for_system("fix-conda", "conda, mamba", grade, &[line]);
    }

    /// What an ordinary user can do. Where it is known that there are no rights it
    /// is the fix itself; a user with all rights is not told.
    fn ways_without_root(&mut self, need: Need) {
        let unix = self.system.family.is_none_or(Family::is_linux);
        if !unix || self.root() || self.conda() {
            return;
        }
        if let Some(names) = packages::conda_packages(need) {
            let names = with_python(names, self.system.python.as_deref());
            let create = format!("micromamba create -y -n toolchain -c conda-forge {names}");
            let used = match need {
                Need::PythonHeaders => {
                    "export CPATH=\"$(micromamba run -n toolchain python -c 'import sysconfig; print(sysconfig.get_path(\"include\"))')\""
                }
                _ => "micromamba activate toolchain",
            };
            self.without_rights("without-root-conda", &[&create, used]);
        }
        let families = self.families();
        let debian = |f: &&Family| matches!(f, Family::Debian | Family::Ubuntu);
        if let Some(family) = families.iter().find(debian) {
            if need == Need::PythonHeaders && !self.lacks_python(*family) {
                self.without_rights("without-root-unpack", UNPACKED_DEB);
            } else if packages::is_part_of_compiler(need) {
                self.without_rights("without-root-doctor", &["ferroductor doctor --fix"]);
            }
        }
        let rpm = matches!(self.system.family, Some(Family::Fedora | Family::Rhel));
        if need == Need::PythonHeaders && rpm {
            self.without_rights("without-root-unpack", UNPACKED_RPM);
        }
    }

    fn without_rights(&mut self, id: &'static str, commands: &[&str]) {
        if self.system.root == Some(false) {
            let fix = self.fix(id, Grade::Recommended, self.fill(commands));
            self.push(Fix {
                needs_network: true,
                ..fix
            });
        } else {
            self.around(id, commands, true);
        }
    }

    fn ways_offline(&mut self, need: Need) {
        let lines = self.system.family.and_then(|family| {
            let names = self.package_names(need, family)?;
            packages::offline_lines(family, &names, self.is_root_here())
        });
        match lines.filter(|_| !self.conda()) {
            Some([fetch, install]) => {
                self.around("without-offline-packages", &[&fetch, &install], false);
            }
            None => self.around("without-offline", &[], false),
        }
        self.around("without-read-only", &[], false);
    }

    /// A way around the fix.
    pub fn around(&mut self, id: &'static str, commands: &[&str], network: bool) {
        let fix = self.fix(id, Grade::Fallback, self.fill(commands));
        let fix = Fix {
            needs_network: network,
            ..fix
        };
        if !self.plan.without.contains(&fix) {
            self.plan.without.push(fix);
        }
    }

    /// Where no package was named, the platform's own compiler package.
    fn add_platform_default(&mut self) {
        if !self.plan.fixes.is_empty() {
            return;
        }
        match self.system.family {
            Some(Family::Windows) => {
                self.general("fix-msvc", Grade::Recommended, &[kinds::BUILD_TOOLS]);
            }
            Some(Family::MacOs) => self.for_system(
                "fix-xcode",
                "macOS",
                Grade::Recommended,
                &["xcode-select --install".to_owned()],
            ),
            _ => self.general(
                "fix-nix",
                Grade::Recommended,
                &["nix-shell -p gcc binutils openssl python3"],
            ),
        }
    }

    /// The way out that needs no toolchain at all.
    fn add_way_out(&mut self) {
        self.around(
            "without-toolchain",
            &["model = torch.compile(model, backend=\"ferroductor\")"],
            false,
        );
    }

    pub fn check(&mut self, id: &str, commands: &[&str]) {
        let text = self.title(id);
        let commands = self.fill(commands);
        self.plan.verify.push(Step { text, commands });
    }

    /// Compiles a small function with Inductor in a fresh process.
    pub fn check_inductor(&mut self) {
        self.check(
            "verify-inductor",
            &["{python} -c \"import torch; print(torch.compile(lambda x: (x.sin() + 1).relu())(torch.ones(8)))\""],
        );
    }
}

/// The headers of Python lead to those of the architecture by a path from the
/// folder above, so both are named.
const UNPACKED_DEB: &[&str] = &[
    "apt-get download libpython{py}-dev",
    "for p in libpython{py}-dev_*.deb; do dpkg -x \"$p\" \"$HOME/toolchain\"; done",
    "export CPATH=\"$HOME/toolchain/usr/include/python{py}:$HOME/toolchain/usr/include\"",
];

const UNPACKED_RPM: &[&str] = &[
    "dnf download python{py}-devel",
    "mkdir -p \"$HOME/toolchain\"",
    "for p in python3*-devel-*.rpm; do rpm2cpio \"$p\" | cpio -idm -D \"$HOME/toolchain\"; done",
    "export CPATH=\"$HOME/toolchain/usr/include/python{py}\"",
];

/// What makes torch use the newer compiler once it is installed.
fn newer_compiler_lines(family: Family, names: &str) -> Vec<String> {
    let version = names.trim_matches(|c: char| !c.is_ascii_digit());
    match family {
        Family::Ubuntu | Family::Debian | Family::OpenSuse => {
            vec![format!("export CXX=g++-{version} CC=gcc-{version}")]
        }
        Family::Rhel => vec![format!("source /opt/rh/gcc-toolset-{version}/enable")],
        _ => Vec::new(),
    }
}
