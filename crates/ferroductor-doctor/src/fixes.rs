//! Which fixes repair a kind of failure on a given system, as data.
//!
//! What must hold: a stated or examined system gets its own fix first and no
//! other system's; an unknown one gets the fixes of all. Nothing here is run:
//! [`crate::repair`] does that after asking.

mod kinds;
mod macos;
mod windows;

use crate::diagnosis::{Fix, Grade, Step};
use crate::facts;
use crate::i18n::Catalog;
use crate::kind::Kind;
use crate::packages::{self, Need, with_python};
use crate::platform::{Family, Origin, SystemGuess};

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
    fn families(&self) -> Vec<Family> {
        match self.system.family {
            Some(family) => vec![family],
            None if self.conda() => Vec::new(),
            None => Family::ALL.to_vec(),
        }
    }

    fn conda(&self) -> bool {
        self.system.origin == Some(Origin::Conda)
    }

    fn push(&mut self, fix: Fix) {
        if !self.plan.fixes.contains(&fix) {
            self.plan.fixes.push(fix);
        }
    }

    /// A fix that is the same on every system.
    pub fn general(&mut self, id: &'static str, grade: Grade, commands: &[&str]) {
        let network = commands
            .iter()
            .any(|c| c.contains("pip ") || c.contains("install"));
        let filled = self.fill(commands);
        let title = self
            .catalog
            .format(id, &[("python", self.python()), ("subject", self.subject)]);
        self.push(Fix {
            id,
            grade,
            title,
            system: None,
            commands: filled,
            needs_root: false,
            needs_network: network,
        });
    }

    /// A fix for one family or origin, shown when that may be the system.
    pub fn for_system(
        &mut self,
        id: &'static str,
        system: &str,
        grade: Grade,
        commands: &[String],
    ) {
        let title = self
            .catalog
            .format(id, &[("python", self.python()), ("subject", self.subject)]);
        let needs_root = commands.iter().any(|c| c.contains("sudo "));
        self.push(Fix {
            id,
            grade,
            title,
            system: Some(system.to_owned()),
            commands: commands.to_vec(),
            needs_root,
            needs_network: true,
        });
    }

    fn fill(&self, commands: &[&str]) -> Vec<String> {
        let program = self.python_program();
        let filled = |c: &&str| {
            with_python(c, self.system.python.as_deref())
                .replace("{python}", &program)
                .replace("{subject}", self.subject)
        };
        commands.iter().map(filled).collect()
    }

    /// Installs a need with each family's package manager, and in a Dockerfile.
    pub fn install(&mut self, need: Need) {
        let python = self.system.python.clone();
        let root = self.root() || self.system.container;
        for family in self.families() {
            let Some(names) = packages::packages(need, family) else {
                continue;
            };
            let names = with_python(names, python.as_deref());
            let names = self.distribution_python_name(need, family, names);
            let grade = if self.conda() {
                Grade::Alternative
            } else {
                Grade::Recommended
            };
            let lines = packages::install_lines(family, &names, root);
            if !lines.is_empty() {
                let mut commands = lines;
                if need == Need::NewerCompiler {
                    commands.extend(newer_compiler_lines(family));
                }
                let needs_root = family != Family::MacOs;
                let title = self
                    .catalog
                    .format("fix-install-packages", &[("packages", &names)]);
                self.push(Fix {
                    id: "fix-install-packages",
                    grade,
                    title,
                    system: Some(family.name().to_owned()),
                    commands,
                    needs_root,
                    needs_network: true,
                });
            }
            self.dockerfile(family, &names);
        }
        if let Some(names) =
            packages::nix_packages(need).filter(|_| self.families().contains(&Family::NixOs))
        {
            let names = with_python(names, python.as_deref());
            self.for_system(
                "fix-nix",
                "NixOS, nix",
                Grade::Recommended,
                &[format!("nix-shell -p {names}")],
            );
        }
        self.install_conda(need);
        self.way_without_root(need);
    }

    /// Distributions name the headers of their own Python without a version.
    fn distribution_python_name(&self, need: Need, family: Family, names: String) -> String {
        let rpm = matches!(family, Family::Fedora | Family::Rhel);
        if need == Need::PythonHeaders && rpm && self.system.python.is_none() {
            return "python3-devel".to_owned();
        }
        names
    }

    fn dockerfile(&mut self, family: Family, names: &str) {
        // On a machine that is known not to be a container the line only distracts.
        if self.system.stated && !self.system.container {
            return;
        }
        if let Some(line) = packages::dockerfile_line(family, names) {
            self.push(Fix {
                id: "fix-dockerfile",
                grade: if self.system.container {
                    Grade::Recommended
                } else {
                    Grade::Alternative
                },
                title: self.catalog.text("fix-dockerfile"),
                system: Some(family.name().to_owned()),
                commands: vec![line],
                needs_root: false,
                needs_network: true,
            });
        }
    }

    fn install_conda(&mut self, need: Need) {
        let elsewhere = self.system.stated && !self.conda();
        let Some(names) = packages::conda_packages(need).filter(|_| !elsewhere) else {
            return;
        };
        let names = with_python(names, self.system.python.as_deref());
        let grade = if self.conda() {
            Grade::Recommended
        } else {
            Grade::Alternative
        };
        self.push(Fix {
            id: "fix-conda",
            grade,
            title: self.catalog.text("fix-conda"),
            system: Some("conda, mamba".to_owned()),
            commands: vec![format!("conda install -y -c conda-forge {names}")],
            needs_root: false,
            needs_network: true,
        });
    }

    fn way_without_root(&mut self, need: Need) {
        if self.system.family == Some(Family::Windows) || self.system.family == Some(Family::MacOs)
        {
            return;
        }
        if let Some(names) = packages::conda_packages(need).filter(|_| !self.conda()) {
            let names = with_python(names, self.system.python.as_deref());
            self.around(
                "without-root-conda",
                &[
                    &format!("micromamba create -y -n toolchain -c conda-forge {names}"),
                    "micromamba activate toolchain",
                ],
                true,
            );
        }
        let debian = self
            .families()
            .iter()
            .any(|f| matches!(f, Family::Debian | Family::Ubuntu));
        if let Some(names) = packages::packages(need, Family::Debian).filter(|_| debian) {
            let mut names = with_python(names, self.system.python.as_deref());
            if need == Need::PythonHeaders {
                names = format!("libpython{}-dev {names}", self.python());
            }
            self.around(
                "without-root-unpack",
                &[
                    &format!("apt-get download {names}"),
                    "for p in *.deb; do dpkg -x \"$p\" \"$HOME/toolchain\"; done",
                    "export PATH=\"$HOME/toolchain/usr/bin:$PATH\" CPATH=\"$HOME/toolchain/usr/include\" LIBRARY_PATH=\"$HOME/toolchain/usr/lib/$(uname -m)-linux-gnu\"",
                ],
                true,
            );
        }
        self.around("without-offline", &[], false);
        self.around("without-read-only", &[], false);
    }

    /// A way around the fix.
    pub fn around(&mut self, id: &'static str, commands: &[&str], network: bool) {
        let filled = self.fill(commands);
        let title = self
            .catalog
            .format(id, &[("python", self.python()), ("subject", self.subject)]);
        self.plan.without.push(Fix {
            id,
            grade: Grade::Fallback,
            title,
            system: None,
            commands: filled,
            needs_root: false,
            needs_network: network,
        });
    }

    /// Where no package was named, the platform's own compiler package.
    fn add_platform_default(&mut self) {
        if !self.plan.fixes.is_empty() {
            return;
        }
        match self.system.family {
            Some(Family::Windows) => self.general(
                "fix-msvc",
                Grade::Recommended,
                &["winget install Microsoft.VisualStudio.2022.BuildTools"],
            ),
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
        let text = self
            .catalog
            .format(id, &[("python", self.python()), ("subject", self.subject)]);
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

    /// The archives and builds for a Python a distribution does not carry.
    pub fn python_from_elsewhere(&mut self) {
        let python = self.python().to_owned();
        let sudo = if self.root() { "" } else { "sudo " };
        let families = self.families();
        let carries = |family: &str| {
            let version = self.system.version.as_deref().unwrap_or_default();
            facts::distro_python(family, version).is_some_and(|p| p == python)
        };
        if families.contains(&Family::Ubuntu) && !carries("ubuntu") {
            let lines = [
                format!("{sudo}add-apt-repository -y ppa:deadsnakes/ppa"),
                format!("{sudo}apt-get update"),
                format!("{sudo}apt-get install -y python{python}-dev"),
            ];
            self.for_system(
                "fix-deadsnakes",
                Family::Ubuntu.name(),
                Grade::Alternative,
                &lines,
            );
        }
        if families.contains(&Family::Debian) && !carries("debian") {
            let lines = [
                format!("pyenv install {python}"),
                format!("pyenv local {python}"),
            ];
            self.for_system(
                "fix-build-python",
                Family::Debian.name(),
                Grade::Alternative,
                &lines,
            );
        }
    }
}

/// What makes torch use the newer compiler once it is installed.
fn newer_compiler_lines(family: Family) -> Vec<String> {
    match family {
        Family::Ubuntu | Family::Debian => vec!["export CXX=g++-12 CC=gcc-12".to_owned()],
        Family::Rhel => vec!["source /opt/rh/gcc-toolset-13/enable".to_owned()],
        Family::OpenSuse => vec!["export CXX=g++-13 CC=gcc-13".to_owned()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Language;

    fn systems() -> Vec<SystemGuess> {
        let mut all = vec![SystemGuess::default()];
        for family in Family::ALL {
            for origin in [
                None,
                Some(Origin::Pyenv),
                Some(Origin::Conda),
                Some(Origin::System),
            ] {
                for container in [false, true] {
                    all.push(SystemGuess {
                        family: Some(*family),
                        origin,
                        container,
                        stated: true,
                        ..SystemGuess::default()
                    });
                }
            }
        }
        all
    }

    #[test]
    fn every_kind_has_fixes_and_checks_in_words_on_every_system() {
        let catalog = Catalog::new(Language::English);
        for system in systems() {
            for kind in Kind::ALL {
                let plan = plan(*kind, "x", &system, &catalog);
                assert!(!plan.fixes.is_empty(), "{kind:?} has no fix on {system:?}");
                assert!(
                    !plan.verify.is_empty() && !plan.without.is_empty(),
                    "{kind:?} on {system:?}"
                );
                for fix in plan.fixes.iter().chain(&plan.without) {
                    assert_ne!(fix.title, fix.id, "the message {} is missing", fix.id);
                    assert!(
                        fix.commands
                            .iter()
                            .all(|c| !c.contains('{') || c.contains("${") || c.contains("{print")),
                        "{:?}",
                        fix.commands
                    );
                }
                assert!(
                    plan.verify.iter().all(|s| s.text.contains(' ')),
                    "a check of {kind:?} lacks its message"
                );
            }
        }
    }
}
