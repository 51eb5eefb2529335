//! Every kind on every system: distribution, origin of the interpreter, rights.

use super::*;
use crate::i18n::Language;
use crate::platform::Family::*;
use crate::platform::Origin;

const RIGHTS: [Option<bool>; 3] = [None, Some(true), Some(false)];

/// Releases, the empty version standing for an unknown one.
const RELEASES: &[(Family, &[&str])] = &[
    (Ubuntu, &["", "22.04", "24.04", "25.10"]),
    (Debian, &["", "12", "13"]),
    (Fedora, &["42"]),
    (Rhel, &["8", "9"]),
    (OpenSuse, &["15.6"]),
    (Arch, &[""]),
    (Alpine, &["3.20.3", "3.22"]),
    (NixOs, &[""]),
    (MacOs, &["15"]),
    (Windows, &["11"]),
];

fn machine(family: Family, version: &str, origin: Option<Origin>) -> SystemGuess {
    SystemGuess {
        family: Some(family),
        version: Some(version.to_owned()).filter(|v| !v.is_empty()),
        origin,
        python: Some("3.13".to_owned()),
        python_exact: Some("3.13.2".to_owned()),
        stated: true,
        ..SystemGuess::default()
    }
}

/// Whether an interpreter of this origin can be on a system.
fn exists(family: Family, origin: Option<Origin>) -> bool {
    match origin {
        Some(Origin::Xcode | Origin::Homebrew) => family == MacOs,
        Some(Origin::PythonOrg) => matches!(family, MacOs | Windows),
        Some(Origin::Embedded) => family == Windows,
        Some(Origin::Deadsnakes) => family == Ubuntu,
        Some(Origin::System | Origin::UsrLocal | Origin::Nix) => family != Windows,
        Some(Origin::Pyenv | Origin::Uv | Origin::Conda) | None => true,
    }
}

fn every_machine() -> Vec<SystemGuess> {
    let mut all = vec![SystemGuess::default()];
    let origins = Origin::ALL.iter().copied().map(Some).chain([None]);
    for (family, versions) in RELEASES {
        for (version, origin) in versions
            .iter()
            .flat_map(|v| origins.clone().map(move |o| (v, o)))
            .filter(|(_, origin)| exists(*family, *origin))
        {
            for root in RIGHTS {
                let linux = [(false, false), (true, false), (false, true)];
                let kinds: &[(bool, bool)] = if family.is_linux() {
                    &linux
                } else {
                    &linux[..1]
                };
                for &(container, wsl) in kinds {
                    all.push(SystemGuess {
                        root,
                        container,
                        wsl,
                        ..machine(*family, version, origin)
                    });
                }
            }
        }
    }
    all
}

fn commands(plan: &Plan) -> impl Iterator<Item = &String> {
    let fixes = plan.fixes.iter().chain(&plan.without);
    let checks = plan.verify.iter().flat_map(|s| &s.commands);
    fixes.flat_map(|f| &f.commands).chain(checks)
}

fn recommended(plan: &Plan) -> impl Iterator<Item = &Fix> {
    plan.fixes.iter().filter(|f| f.grade == Grade::Recommended)
}

/// Of the origins, only conda's changes what other kinds than the headers need.
fn worth_trying(kind: Kind, system: &SystemGuess) -> bool {
    let headers = kind.slug().starts_with("python-");
    let of_macos = [Kind::OmpMacos, Kind::LibompLoadedTwiceMacos];
    let possible = system.family.is_none_or(|f| f == MacOs) || !of_macos.contains(&kind);
    possible && (headers || matches!(system.origin, None | Some(Origin::Conda)))
}

fn for_every_plan(mut judge: impl FnMut(Kind, &SystemGuess, &Plan)) {
    let catalog = Catalog::new(Language::English);
    for system in every_machine() {
        for kind in Kind::ALL.iter().filter(|k| worth_trying(**k, &system)) {
            judge(*kind, &system, &plan(*kind, "x", &system, &catalog));
        }
    }
}

#[test]
fn every_kind_has_fixes_and_checks_in_words() {
    for_every_plan(|kind, system, plan| {
        let complete =
            !plan.fixes.is_empty() && !plan.verify.is_empty() && !plan.without.is_empty();
        assert!(complete, "{kind:?} on {system:?}");
        for fix in plan.fixes.iter().chain(&plan.without) {
            assert_ne!(fix.title, fix.id, "the message {} is missing", fix.id);
        }
        assert!(plan.verify.iter().all(|s| s.text.contains(' ')), "{kind:?}");
        assert!(recommended(plan).next().is_some(), "{kind:?} on {system:?}");
    });
}

#[test]
fn no_command_has_a_place_left_to_fill_in() {
    for_every_plan(|kind, system, plan| {
        for line in commands(plan) {
            // Variables of a shell, awk's and C's braces are no gaps.
            let shell = line
                .replace("${", "")
                .replace("{print", "")
                .replace("{ return", "");
            for mark in ["{", "…", "...", "/path/to", "PACKAGE", "<", "XXX", "YOUR"] {
                let redirected = mark == "<" && line.contains("#include");
                assert!(
                    !shell.contains(mark) || redirected,
                    "{kind:?} on {system:?}: {line}"
                );
            }
        }
    });
}

/// The package managers of each family; no other family's may be named.
const MANAGERS: &[(&str, &[Family])] = &[
    ("apt-get ", &[Ubuntu, Debian]),
    ("dnf ", &[Fedora, Rhel]),
    ("zypper ", &[OpenSuse]),
    ("pacman ", &[Arch]),
    ("apk ", &[Alpine]),
    ("nix-shell", &[NixOs]),
    ("brew ", &[MacOs]),
    ("winget ", &[Windows]),
];

#[test]
fn a_known_system_gets_no_other_systems_package_manager() {
    for_every_plan(|kind, system, plan| {
        let Some(family) = system.family else { return };
        // These exist on one system only, whatever is stated.
        let elsewhere = [
            Kind::OmpMacos,
            Kind::MsvcClNotFound,
            Kind::MsvcEnvironmentNotLoaded,
        ];
        for line in commands(plan).filter(|_| !elsewhere.contains(&kind)) {
            let foreign = MANAGERS
                .iter()
                .find(|(m, families)| line.contains(m) && !families.contains(&family));
            // The origin of the interpreter may be stated together with another system.
            let by_origin = line.starts_with("brew reinstall python@");
            assert!(
                foreign.is_none() || by_origin,
                "{kind:?} on {system:?}: {line}"
            );
        }
    });
}

#[test]
fn who_has_no_rights_is_first_told_what_needs_none() {
    for_every_plan(|kind, system, plan| {
        if system.root == Some(true) {
            let asks = commands(plan).find(|c| c.contains("sudo "));
            let made_elsewhere =
                |c: &&String| c.starts_with("sudo zypper") || c.starts_with("sudo pacman");
            let own = asks.filter(|c| !made_elsewhere(c));
            let of_kind = [Kind::NoSpaceLeft, Kind::NoexecTmp];
            assert!(
                own.is_none() || of_kind.contains(&kind),
                "{kind:?}: {own:?}"
            );
        }
        let unix = system.family.is_some_and(Family::is_linux);
        let about_packages = plan.fixes.iter().any(|f| f.id == "fix-install-packages");
        if system.root == Some(false) && unix && about_packages {
            let free = recommended(plan).any(|f| !f.needs_root);
            assert!(free, "{kind:?} on {system:?}: {:?}", plan.fixes);
            let asked = recommended(plan).find(|f| f.id == "fix-install-packages");
            assert!(asked.is_none(), "{kind:?} on {system:?}: {asked:?}");
        }
    });
}

#[test]
fn a_container_gets_the_line_for_its_dockerfile() {
    for_every_plan(|kind, system, plan| {
        let packages = plan.fixes.iter().any(|f| f.id == "fix-install-packages");
        let image = system.family.is_some_and(|f| f.is_linux() && f != NixOs);
        let line = recommended(plan).find(|f| f.id == "fix-dockerfile");
        if system.container && packages && image {
            assert!(line.is_some(), "{kind:?} on {system:?}");
        }
        if system.stated && !system.container {
            assert!(line.is_none(), "{kind:?} on {system:?}");
        }
    });
}

#[test]
fn headers_are_those_of_the_exact_version() {
    let catalog = Catalog::new(Language::English);
    for system in every_machine().iter().filter(|s| s.python.is_some()) {
        let plan = plan(Kind::PythonHInductorCpp, "Python.h", system, &catalog);
        let names = |text: &String| ["3.13", "313"].iter().any(|v| text.contains(v));
        // Arch and Alpine name the package of their one Python without a version.
        let unversioned = |f: &Fix| f.commands.iter().any(|c| c.contains("python"));
        let by_tools = |f: &Fix| f.id == "fix-xcode";
        for fix in recommended(&plan) {
            let exact = names(&fix.title) || fix.commands.iter().any(names);
            let plain = matches!(system.family, Some(Arch | Alpine)) && unversioned(fix);
            assert!(exact || plain || by_tools(fix), "{system:?}: {fix:?}");
        }
        let wrong = commands(&plan).find(|c| c.contains("3.12") || c.contains("312"));
        assert!(wrong.is_none(), "{system:?}: {wrong:?}");
    }
}

/// Where the interpreter comes from and on what, the rights, and what the first
/// recommended fix runs.
type Row = (
    Family,
    &'static str,
    Option<Origin>,
    Option<bool>,
    &'static [&'static str],
);

const TABLE: &[Row] = &[
    (
        Ubuntu,
        "25.10",
        Some(Origin::System),
        None,
        &[
            "sudo apt-get update",
            "sudo apt-get install -y --no-install-recommends python3.13-dev",
        ],
    ),
    (
        Ubuntu,
        "22.04",
        Some(Origin::System),
        None,
        &[
            "sudo apt-get update",
            "sudo apt-get install -y software-properties-common",
            "sudo add-apt-repository -y ppa:deadsnakes/ppa",
            "sudo apt-get install -y python3.13-dev",
        ],
    ),
    (
        Ubuntu,
        "22.04",
        Some(Origin::System),
        Some(true),
        &[
            "apt-get update",
            "apt-get install -y software-properties-common",
            "add-apt-repository -y ppa:deadsnakes/ppa",
            "apt-get install -y python3.13-dev",
        ],
    ),
    (
        Ubuntu,
        "22.04",
        Some(Origin::Deadsnakes),
        None,
        &[
            "sudo apt-get update",
            "sudo apt-get install -y --no-install-recommends python3.13-dev",
        ],
    ),
    (
        Debian,
        "13",
        Some(Origin::System),
        Some(true),
        &[
            "apt-get update",
            "apt-get install -y --no-install-recommends python3.13-dev",
        ],
    ),
    (
        Debian,
        "12",
        Some(Origin::System),
        None,
        &["uv python install 3.13.2", "uv venv --python 3.13.2"],
    ),
    (
        Fedora,
        "42",
        Some(Origin::System),
        None,
        &["sudo dnf install -y python3.13-devel"],
    ),
    (
        Rhel,
        "9",
        Some(Origin::System),
        Some(true),
        &["dnf install -y python3.13-devel"],
    ),
    (
        OpenSuse,
        "15.6",
        None,
        None,
        &["sudo zypper --non-interactive install python313-devel"],
    ),
    (
        Arch,
        "",
        Some(Origin::System),
        None,
        &["sudo pacman -S --noconfirm python"],
    ),
    (
        Alpine,
        "3.20.3",
        Some(Origin::System),
        None,
        &["uv python install 3.13.2", "uv venv --python 3.13.2"],
    ),
    (
        NixOs,
        "",
        Some(Origin::Nix),
        None,
        &["nix-shell -p python313 gcc"],
    ),
    (
        MacOs,
        "15",
        Some(Origin::Homebrew),
        None,
        &["brew reinstall python@3.13"],
    ),
    (
        MacOs,
        "15",
        Some(Origin::Xcode),
        None,
        &["xcode-select --install"],
    ),
    (MacOs, "15", None, None, &["brew install python@3.13"]),
    (MacOs, "15", Some(Origin::PythonOrg), None, &[]),
    (
        MacOs,
        "15",
        Some(Origin::Conda),
        None,
        &["conda install -y --force-reinstall -c conda-forge python=3.13"],
    ),
    (
        Windows,
        "11",
        Some(Origin::PythonOrg),
        None,
        &["winget install --exact --id Python.Python.3.13 --force"],
    ),
    (
        Windows,
        "11",
        Some(Origin::Uv),
        None,
        &["uv python install --reinstall 3.13.2"],
    ),
    (
        Windows,
        "11",
        Some(Origin::Conda),
        None,
        &["conda install -y --force-reinstall -c conda-forge python=3.13"],
    ),
    (
        Ubuntu,
        "24.04",
        Some(Origin::Pyenv),
        None,
        &["pyenv install --force 3.13.2"],
    ),
    (
        Fedora,
        "42",
        Some(Origin::Uv),
        Some(false),
        &["uv python install --reinstall 3.13.2"],
    ),
    (
        Debian,
        "12",
        Some(Origin::Conda),
        Some(false),
        &["conda install -y --force-reinstall -c conda-forge python=3.13"],
    ),
    (
        Debian,
        "13",
        Some(Origin::System),
        Some(false),
        &[
            "micromamba create -y -n toolchain -c conda-forge python=3.13",
            "export CPATH=\"$(micromamba run -n toolchain python -c 'import sysconfig; print(sysconfig.get_path(\"include\"))')\"",
        ],
    ),
    (Debian, "13", Some(Origin::UsrLocal), None, &[]),
];

#[test]
fn the_first_fix_is_the_one_for_the_system() {
    let catalog = Catalog::new(Language::English);
    for (family, version, origin, root, lines) in TABLE {
        let system = SystemGuess {
            root: *root,
            ..machine(*family, version, *origin)
        };
        let plan = plan(Kind::PythonHInductorCpp, "Python.h", &system, &catalog);
        let first = recommended(&plan).next().expect("a recommended fix");
        assert_eq!(
            first.commands, *lines,
            "{family:?} {version} {origin:?} {root:?}"
        );
    }
}

#[test]
fn an_image_takes_headers_from_where_its_python_comes_from() {
    let catalog = Catalog::new(Language::English);
    let line = |family, version, origin| {
        let system = SystemGuess {
            container: true,
            ..machine(family, version, Some(origin))
        };
        let plan = plan(Kind::PythonHTriton, "Python.h", &system, &catalog);
        let line = recommended(&plan)
            .find(|f| f.id == "fix-dockerfile")
            .map(|f| f.commands[0].clone());
        line.unwrap_or_default()
    };
    assert_eq!(
        line(Debian, "12", Origin::UsrLocal),
        "COPY --from=python:3.13.2 /usr/local/include/python3.13 /usr/local/include/python3.13"
    );
    assert_eq!(
        line(Debian, "13", Origin::System),
        "RUN apt-get update && apt-get install -y --no-install-recommends python3.13-dev && rm -rf /var/lib/apt/lists/*"
    );
    assert!(line(Ubuntu, "22.04", Origin::System).contains("ppa:deadsnakes"));
    assert!(line(Debian, "12", Origin::Conda).starts_with("RUN conda install"));
    assert_eq!(
        line(Debian, "12", Origin::Uv),
        "RUN uv python install --reinstall 3.13.2"
    );
}

#[test]
fn an_older_host_compiler_is_the_one_nvcc_accepts() {
    let catalog = Catalog::new(Language::English);
    let plan = plan(
        Kind::NvccRejectsGcc,
        "11",
        &machine(Debian, "12", None),
        &catalog,
    );
    let text = serde_json::to_string(&plan.fixes).expect("plain data");
    assert!(
        text.contains("g++-11") && text.contains("-ccbin g++-11"),
        "{text}"
    );
    assert!(!text.contains("g++-12"), "{text}");
}

#[test]
fn what_a_log_names_is_no_command_of_its_own() {
    let catalog = Catalog::new(Language::English);
    let hostile = "/tmp/x; rm -rf ~";
    let plan = plan(
        Kind::CachePermissionDenied,
        hostile,
        &machine(Debian, "12", None),
        &catalog,
    );
    let line = commands(&plan)
        .find(|c| c.contains("rm -rf ~"))
        .expect("the folder is named");
    assert_eq!(line, "ls -ld '/tmp/x; rm -rf ~'");
}
