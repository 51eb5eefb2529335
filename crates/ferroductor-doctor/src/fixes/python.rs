//! The headers of an interpreter: where they come from decides what brings them.
//!
//! What must hold: the version is the interpreter's own, as exactly as it is
//! known; an interpreter that does not come from the distribution is not sent to
//! the distribution's package, whose headers it would not look at.

use super::Planner;
use crate::diagnosis::Grade::{Alternative, Recommended};
use crate::kind::Kind;
use crate::packages::Need;
use crate::platform::{Family, Origin};

/// The recipe for the kinds about `Python.h`.
pub fn headers(kind: Kind, plan: &mut Planner<'_>) {
    let own_tool = by_its_own_tool(plan);
    // The archive's headers serve an interpreter beside it, by CPATH.
    let beside = plan.system.origin == Some(Origin::UsrLocal) && plan.archive_has_python();
    if !(own_tool && plan.system.stated) || beside {
        by_the_system(plan);
    } else {
        plan.around("without-offline", &[], false);
        if plan.system.container {
            plan.around("without-read-only", &[], false);
        }
    }
    if plan.system.family != Some(Family::Windows) {
        plan.general("fix-cpath", Alternative, HEADERS_ELSEWHERE);
    }
    checks(kind, plan);
}

/// The first headers of this version that are found anywhere.
const HEADERS_ELSEWHERE: &[&str] = &[
    "find / -path '*python{py}/Python.h' 2>/dev/null",
    "export CPATH=\"$(dirname \"$(find / -path '*python{py}/Python.h' -print -quit 2>/dev/null)\")\"",
];

/// Interpreters that bring their headers; says whether this is one of them.
fn by_its_own_tool(plan: &mut Planner<'_>) -> bool {
    let exact = plan.exact_python().to_owned();
    let minor = plan.python().to_owned();
    let (id, system, line) = match plan.system.origin {
        Some(Origin::Pyenv) => (
            "fix-pyenv",
            "pyenv",
            format!("pyenv install --force {exact}"),
        ),
        Some(Origin::Uv) => (
            "fix-uv",
            "uv",
            format!("uv python install --reinstall {exact}"),
        ),
        Some(Origin::Homebrew) => (
            "fix-homebrew-python",
            "Homebrew",
            format!("brew reinstall python@{minor}"),
        ),
        Some(Origin::Xcode) => ("fix-xcode", "macOS", "xcode-select --install".to_owned()),
        _ => return by_hand(plan, &exact, &minor),
    };
    if plan.system.container {
        plan.dockerfile_line(system, format!("RUN {line}"));
    }
    plan.for_system(id, system, Recommended, &[line]);
    true
}

/// Interpreters that bring their headers and have no tool that brings them again.
fn by_hand(plan: &mut Planner<'_>, exact: &str, minor: &str) -> bool {
    match plan.system.origin {
        Some(Origin::PythonOrg) => python_org(plan),
        Some(Origin::Embedded) => plan.general("fix-embedded-python", Recommended, &[]),
        Some(Origin::UsrLocal) => in_usr_local(plan, exact, minor),
        _ => return false,
    }
    true
}

/// The installer of python.org; on Windows it can be run again by a command.
fn python_org(plan: &mut Planner<'_>) {
    let windows = plan.system.family == Some(Family::Windows);
    let commands: &[&str] = match windows {
        true => &["winget install --exact --id Python.Python.{py} --force"],
        false => &[],
    };
    plan.general("fix-python-org", Recommended, commands);
}

/// An official image, or built from source: the archive's headers would be those
/// of another interpreter.
fn in_usr_local(plan: &mut Planner<'_>, exact: &str, minor: &str) {
    if plan.system.container {
        let folder = format!("/usr/local/include/python{minor}");
        let line = format!("COPY --from=python:{exact} {folder} {folder}");
        plan.dockerfile_line("python", line);
    }
    plan.general("fix-usr-local-python", Recommended, &[]);
}

/// The packages of the distribution and of conda, and where others come from.
pub fn by_the_system(plan: &mut Planner<'_>) {
    if plan.system.family == Some(Family::Windows) {
        let conda = plan.system.origin == Some(Origin::Conda);
        if conda {
            plan.install(Need::PythonHeaders);
        } else if plan.system.origin != Some(Origin::PythonOrg) {
            python_org(plan);
            plan.general("fix-embedded-python", Alternative, &[]);
        }
        return;
    }
    from_another_archive(plan);
    plan.install(Need::PythonHeaders);
}

/// For a Python the release does not carry: recommended where that is known,
/// offered where the release is not known.
fn from_another_archive(plan: &mut Planner<'_>) {
    if plan.conda() {
        return;
    }
    let python = plan.python().to_owned();
    let may_install = plan.system.root != Some(false);
    let sudo = if plan.is_root_here() { "" } else { "sudo " };
    for family in plan.families() {
        let version = plan.system.version.as_deref().unwrap_or_default();
        let has = crate::facts::archive_has_python(family, version, &python);
        if has == Some(true) {
            continue;
        }
        let grade = |possible: bool| match has {
            Some(false) if possible => Recommended,
            _ => Alternative,
        };
        match family {
            // Whoever has the archive needs no other line than the usual one.
            Family::Ubuntu if plan.system.origin != Some(Origin::Deadsnakes) => {
                let lines = deadsnakes(&python, sudo);
                plan.for_system("fix-deadsnakes", family.name(), grade(may_install), &lines);
                let line = format!("RUN {}", deadsnakes(&python, "").join(" && "));
                if plan.system.container {
                    plan.dockerfile_line(family.name(), line);
                }
            }
            Family::Debian | Family::Alpine | Family::Rhel | Family::OpenSuse | Family::Arch => {
                let exact = plan.exact_python().to_owned();
                let lines = [
                    format!("uv python install {exact}"),
                    format!("uv venv --python {exact}"),
                ];
                plan.for_system("fix-other-python", family.name(), grade(true), &lines);
                if family == Family::Debian {
                    let lines = [
                        format!("pyenv install {exact}"),
                        format!("pyenv local {exact}"),
                    ];
                    plan.for_system("fix-build-python", family.name(), Alternative, &lines);
                }
            }
            _ => {}
        }
    }
}

/// Adds the archive, with the program that does so, and installs from it.
pub fn deadsnakes(python: &str, sudo: &str) -> [String; 4] {
    [
        format!("{sudo}apt-get update"),
        format!("{sudo}apt-get install -y software-properties-common"),
        format!("{sudo}add-apt-repository -y ppa:deadsnakes/ppa"),
        format!("{sudo}apt-get install -y python{python}-dev"),
    ]
}

fn checks(kind: Kind, plan: &mut Planner<'_>) {
    plan.check(
        "verify-python-h",
        &["{python} -c \"import sysconfig, os; p = os.path.join(sysconfig.get_paths()['include'], 'Python.h'); print(p, os.path.exists(p))\""],
    );
    match kind {
        Kind::PythonHTriton => plan.check("verify-triton", &["{python} -c \"from triton.runtime.driver import driver; print(driver.active.get_current_target())\""]),
        Kind::PythonHCppExtension => plan.check("verify-extension", &["{python} -c \"from torch.utils.cpp_extension import load_inline; load_inline('probe', 'int f() { return 1; }', functions=['f'])\""]),
        _ => plan.check_inductor(),
    }
}
