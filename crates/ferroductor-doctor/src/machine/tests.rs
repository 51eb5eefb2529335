//! Broken machines in memory: each setup is found, a healthy one is not.

mod other_systems;

use super::*;
use crate::kind::Kind;
use crate::render;
use ferroductor_toolchain::Space;
use ferroductor_toolchain::fake::{FakeSystem, exits};

const GCC: &str =
    "g++ (Debian 12.2.0-14) 12.2.0\nCopyright (C) 2022 Free Software Foundation, Inc.";

fn python_answer(torch: &str, version: &str) -> String {
    format!(
        r#"{{"version": "{version}", "executable": "/usr/bin/python3", "prefix": "/usr", "base_prefix": "/usr", "include": "/usr/include/python3.12", "suffix": ".so", "cflags": "", "torch": "{torch}", "torch_dir": "/usr/lib/python3/dist-packages/torch", "torch_wants": ["triton~=3.9.0; platform_system == \"Linux\"", "setuptools"], "triton": "3.9.1", "setuptools": "80.0", "ninja": null, "conda": false}}"#
    )
}

/// A machine with Python and torch, without compiler and headers.
fn stripped(release: &str, user: u32) -> FakeSystem {
    FakeSystem::default()
        .with_user(user)
        .with_env("HOME", "/home/me")
        .with_env("USER", "me")
        .with_file("/home/me/.keep", "")
        .with_file("/tmp/.keep", "")
        .with_file(
            "/etc/passwd",
            "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n",
        )
        .with_file("/etc/os-release", release)
        .with_program("/usr/bin/python3")
        .with_program("/usr/bin/openssl")
        .with_script(
            "python3",
            "importlib",
            exits(0, &python_answer("2.15.0", "3.12.3"), ""),
        )
}

fn with_compilers(machine: FakeSystem) -> FakeSystem {
    machine
        .with_program("/usr/bin/g++")
        .with_program("/usr/bin/gcc")
        .with_program("/usr/bin/ld")
        .with_program("/usr/bin/as")
        .with_script("g++", "--version", exits(0, GCC, ""))
        .with_script("gcc", "--version", exits(0, GCC, ""))
}

const UBUNTU: &str = "ID=ubuntu\nVERSION_ID=\"24.04\"\nPRETTY_NAME=\"Ubuntu 24.04\"\n";

/// A healthy Ubuntu machine without a GPU.
fn healthy() -> FakeSystem {
    with_compilers(stripped(UBUNTU, 1000))
        .with_file("/usr/include/python3.12/Python.h", "")
        .with_file(
            "/usr/include/python3.12/patchlevel.h",
            "#define PY_VERSION              \"3.12.3\"\n",
        )
}

/// A device without room.
const FULL: Space = Space {
    free_bytes: 0,
    total_bytes: 1 << 30,
    free_inodes: 9,
    read_only: false,
    no_exec: false,
};

fn examined(system: &FakeSystem) -> Report {
    let args = DoctorArgs {
        quick: true,
        ..DoctorArgs::default()
    };
    examine(system, &args, &Catalog::new(Language::English))
}

fn kinds(system: &FakeSystem) -> Vec<Kind> {
    examined(system).findings.iter().map(|f| f.id).collect()
}

#[test]
fn a_healthy_machine_gets_a_clean_bill() {
    let report = examined(&healthy());
    assert_eq!(report.findings.iter().map(|f| f.id).collect::<Vec<_>>(), []);
    assert_eq!(report.outcome, Outcome::Healthy);
    assert!(report.inventory_lines.len() > 12);
}

#[test]
fn a_stripped_container_gets_four_findings_in_order_of_dependency() {
    let read_only = Space {
        free_bytes: 1 << 30,
        total_bytes: 1 << 30,
        free_inodes: 9,
        read_only: true,
        no_exec: false,
    };
    let system = FakeSystem::default()
        .with_user(12345)
        .with_env("HOME", "/")
        .with_file("/tmp/.keep", "")
        .with_file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .with_file("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
        .with_program("/usr/bin/python3")
        .with_space("/", read_only)
        .with_program("/usr/bin/openssl")
        .with_script(
            "python3",
            "importlib",
            exits(0, &python_answer("2.15.0", "3.12.3"), ""),
        );
    let found = kinds(&system);
    assert_eq!(
        found,
        [
            Kind::UidWithoutPasswdEntry,
            Kind::ReadOnlyFilesystem,
            Kind::NoCxxCompiler,
            Kind::PythonHInductorCpp
        ]
    );
}

#[test]
fn each_broken_setup_is_found() {
    let no_exec = Space {
        free_bytes: 9 << 30,
        total_bytes: 9 << 30,
        free_inodes: 9,
        read_only: false,
        no_exec: true,
    };
    let fail = |text: &str| exits(1, "", text);
    let setups: Vec<(FakeSystem, Kind)> = vec![
        (healthy().with_space("/tmp", FULL), Kind::NoSpaceLeft),
        (healthy().with_space("/tmp", no_exec), Kind::NoexecTmp),
        (
            healthy()
                .with_env("TRITON_CACHE_DIR", "/shared")
                .with_locked_dir("/shared"),
            Kind::CachePermissionDenied,
        ),
        (
            healthy().with_user(4242).with_env("USER", ""),
            Kind::UidWithoutPasswdEntry,
        ),
        (
            healthy().with_env("CXX", "no-such-compiler"),
            Kind::NoCxxCompiler,
        ),
        (
            healthy().with_script("g++", "-fopenmp", fail("omp.h: No such file")),
            Kind::OmpHLinux,
        ),
        (
            healthy().with_script(
                "g++",
                "-shared",
                fail("x.cpp:1:10: fatal error: algorithm: No such file or directory"),
            ),
            Kind::LibcHeadersMissing,
        ),
        (
            healthy().with_script(
                "g++",
                "-shared",
                fail("g++: fatal error: cannot execute 'as': execvp: No such file or directory"),
            ),
            Kind::HalfInstalledToolchain,
        ),
        (
            healthy().with_script(
                "python3",
                "importlib",
                exits(0, &python_answer("2.3.1", "3.12.3"), ""),
            ),
            Kind::PythonVersionUnsupported,
        ),
        (
            healthy().with_env("TORCHINDUCTOR_CACHE_DIR", "/home/me/my cache"),
            Kind::PathWithSpaces,
        ),
        (
            healthy()
                .with_program("/usr/bin/ninja")
                .with_file("/home/me/.cache/torch_extensions/py312/ext/lock", ""),
            Kind::StaleBuildLockHang,
        ),
        (
            healthy().with_file(
                "/usr/include/python3.12/patchlevel.h",
                "#define PY_VERSION \"3.11.2\"\n",
            ),
            Kind::PythonHInductorCpp,
        ),
    ];
    let setups = setups.into_iter().chain(more_setups());
    for (system, kind) in setups {
        assert_eq!(kinds(&system), [kind], "{kind:?}");
    }
}

/// Setups of folders, limits and variables.
fn more_setups() -> Vec<(FakeSystem, Kind)> {
    let tiny = Space {
        free_bytes: 64 << 10,
        total_bytes: 64 << 10,
        free_inodes: 9,
        read_only: false,
        no_exec: false,
    };
    vec![
        (
            healthy()
                .with_file("/dev/shm/.keep", "")
                .with_space("/dev/shm", tiny),
            Kind::NoSpaceLeft,
        ),
        (
            healthy()
                .with_file("/proc/self/cgroup", "0::/\n")
                .with_file("/sys/fs/cgroup/memory.events", "oom_kill 3\n"),
            Kind::CompilerKilledOom,
        ),
        (
            healthy().with_file("/home/me/.cache/torch_extensions/py312/ext/ext.so", ""),
            Kind::NinjaMissing,
        ),
        (
            healthy()
                .with_env("TORCHINDUCTOR_CACHE_DIR", "/shared")
                .with_locked_dir("/shared/ab"),
            Kind::CachePermissionDenied,
        ),
    ]
}

#[test]
fn an_environment_without_its_interpreter_is_a_problem_of_its_own() {
    let system = healthy()
        .with_env("VIRTUAL_ENV", "/home/me/venv")
        .with_file(
            "/home/me/venv/pyvenv.cfg",
            "home = /usr/bin\nexecutable = /usr/bin/python3.10\n",
        );
    let report = examined(&system);
    assert_eq!(report.problems[0].id, "machine-environment-gone");
    assert!(report.problems[0].text.contains("/usr/bin/python3.10"));
    assert_eq!(report.outcome, Outcome::Findings);
}

#[test]
fn headers_of_another_python_and_a_low_limit_are_problems() {
    let system = healthy()
        .with_file("/old/Python.h", "")
        .with_file("/old/patchlevel.h", "#define PY_VERSION \"3.9.1\"\n")
        .with_env("CPATH", "/old")
        .with_file("/proc/self/cgroup", "0::/\n")
        .with_file("/sys/fs/cgroup/memory.max", "157286400\n");
    let report = examined(&system);
    let ids: Vec<&str> = report.problems.iter().map(|p| p.id.as_str()).collect();
    assert_eq!(ids, ["machine-foreign-headers", "machine-memory-limit"]);
    assert!(report.problems[0].text.contains("3.9.1"));
    assert!(report.problems[1].text.contains("150 MiB"));
}

#[test]
fn no_secret_of_the_environment_is_in_any_form_of_the_report() {
    let refusal = "x.cpp:1: error: -DKEY=hunter2hunter2 https://me:sw0rdfish@proxy/";
    let system = healthy()
        .with_env("CXXFLAGS", "-DKEY=hunter2hunter2")
        .with_env("DEPLOY_TOKEN", "hunter2hunter2")
        .with_env("HTTPS_PROXY", "http://me:sw0rdfish@proxy:3128")
        .with_script("g++", "-shared", exits(1, "", refusal));
    let catalog = Catalog::new(Language::English);
    let report = examine(&system, &DoctorArgs::default(), &catalog);
    for format in [
        render::Format::Human,
        render::Format::Short,
        render::Format::Json,
        render::Format::Markdown,
        render::Format::Github,
    ] {
        let text = render::render(&report, format, &catalog, render::Style::default());
        assert!(
            !text.contains("hunter2hunter2") && !text.contains("sw0rdfish"),
            "{format:?}: {text}"
        );
    }
}

#[test]
fn packages_that_do_not_fit_are_found() {
    let answer = python_answer("2.15.0+cu130", "3.12.3");
    let without = answer.replace("\"triton\": \"3.9.1\"", "\"triton\": null");
    let other = answer.replace("3.9.1", "3.4.0");
    let bare = answer.replace("\"setuptools\": \"80.0\"", "\"setuptools\": null");
    for (answer, kind) in [
        (without, Kind::TritonMissing),
        (other, Kind::TritonTorchVersionMismatch),
        (bare, Kind::SetuptoolsMissing),
    ] {
        assert_eq!(
            kinds(&healthy().with_script("python3", "importlib", exits(0, &answer, ""))),
            [kind]
        );
    }
}

#[test]
fn the_fix_for_the_examined_system_comes_alone() {
    let system = healthy().with_program("/usr/bin/sudo").with_script(
        "python3",
        "importlib",
        exits(
            0,
            &python_answer("2.15.0", "3.13.0").replace("python3.12", "python3.13"),
            "",
        ),
    );
    let report = examined(&system);
    let finding = &report.findings[0];
    assert_eq!(finding.id, Kind::PythonHInductorCpp);
    assert!(
        finding.fixes[0]
            .commands
            .iter()
            .any(|c| c.contains("python3.13-dev")),
        "{:?}",
        finding.fixes
    );
    let text = serde_json::to_string(&finding.fixes).expect("fixes are plain data");
    assert!(!text.contains("dnf") && !text.contains("brew") && !text.contains("apk"));
}

#[test]
fn without_an_interpreter_it_says_so() {
    let system = FakeSystem::default()
        .with_env("HOME", "/home/me")
        .with_file("/home/me/.keep", "")
        .with_file("/tmp/.keep", "");
    let report = examined(&system);
    assert!(report.findings.iter().any(|f| f.id == Kind::NoCxxCompiler));
    assert!(report.facts.python.is_none());
}

#[test]
fn a_plan_uses_headers_that_are_already_there() {
    let answer = python_answer("2.15.0", "3.12.3")
        .replace("/usr/include/python3.12", "/opt/py/include/python3.12");
    let system = healthy().with_script("python3", "importlib", exits(0, &answer, ""));
    let report = examined(&system);
    let plan = repair::plan(&system, None, &report);
    assert_eq!(
        plan.steps[0].line(system.platform()),
        "export CPATH=/usr/include/python3.12"
    );
}

#[test]
fn a_failing_probe_is_explained_by_its_output() {
    let output = "x.cpp:1:10: fatal error: Python.h: No such file or directory";
    let system = healthy().with_script("g++", "ferroductor_probe.cpp", exits(1, "", output));
    let report = examine(
        &system,
        &DoctorArgs::default(),
        &Catalog::new(Language::English),
    );
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.id == Kind::PythonHInductorCpp),
        "{:?}",
        report.verification
    );
    assert!(
        report
            .verification
            .iter()
            .any(|v| !v.passed && v.printed.contains("Python.h"))
    );
}

fn planned_lines(system: &FakeSystem) -> Vec<String> {
    let report = examined(system);
    let plan = repair::plan(system, None, &report);
    plan.steps
        .iter()
        .map(|s| s.line(system.platform()))
        .collect()
}

#[test]
fn each_distribution_gets_the_lines_of_its_package_manager() {
    let table: [(&str, &[&str]); 6] = [
        (
            "ID=ubuntu\nVERSION_ID=\"24.04\"\n",
            &[
                "apt-get update",
                "apt-get install -y --no-install-recommends build-essential",
                "apt-get install -y --no-install-recommends python3.12-dev",
            ],
        ),
        (
            "ID=fedora\n",
            &[
                "dnf install -y gcc gcc-c++",
                "dnf install -y python3.12-devel",
            ],
        ),
        (
            "ID=rocky\nID_LIKE=\"rhel centos fedora\"\n",
            &[
                "dnf install -y gcc gcc-c++",
                "dnf install -y python3.12-devel",
            ],
        ),
        (
            "ID=opensuse-leap\n",
            &[
                "zypper --non-interactive install gcc gcc-c++",
                "zypper --non-interactive install python312-devel",
            ],
        ),
        (
            "ID=arch\n",
            &[
                "pacman -S --needed --noconfirm base-devel",
                "pacman -S --needed --noconfirm python",
            ],
        ),
        (
            "ID=alpine\n",
            &["apk add build-base", "apk add python3-dev"],
        ),
    ];
    for (release, lines) in table {
        assert_eq!(planned_lines(&stripped(release, 0)), lines, "{release}");
        // Without rights nothing of that may be planned.
        assert_eq!(
            planned_lines(&stripped(release, 1000)),
            Vec::<String>::new()
        );
        let with_sudo = stripped(release, 1000)
            .with_program("/usr/bin/sudo")
            .with_script("sudo", "-n true", exits(0, "", ""));
        assert!(
            planned_lines(&with_sudo)
                .iter()
                .all(|l| l.starts_with("sudo "))
        );
    }
}

#[test]
fn without_rights_debian_packages_are_unpacked_into_the_home() {
    let mut system = stripped("ID=debian\nVERSION_ID=\"12\"\n", 1000);
    for program in ["apt-get", "dpkg", "sh"] {
        system = system.with_program(&format!("/usr/bin/{program}"));
    }
    let lines = planned_lines(&system);
    let base = "/home/me/.local/share/ferroductor/toolchain";
    assert!(
        lines
            .iter()
            .any(|l| l.contains("download libpython3.12-dev"))
    );
    assert!(
        lines
            .iter()
            .any(|l| l.contains("--download-only install g++ gcc libc6-dev"))
    );
    assert!(
        lines
            .iter()
            .any(|l| l.starts_with(&format!("export PATH={base}/bin:")))
    );
    assert!(lines.iter().all(|l| l.contains("/home/me/")), "{lines:#?}");
}

#[test]
fn a_failed_step_stops_what_depends_on_it_and_is_taken_back() {
    let mut system = stripped("ID=debian\nVERSION_ID=\"12\"\n", 1000);
    for program in ["apt-get", "dpkg", "sh"] {
        system = system.with_program(&format!("/usr/bin/{program}"));
    }
    let offline = exits(100, "", "E: Could not resolve 'deb.debian.org'");
    let system = system.with_script("apt-get", "update", offline);
    let catalog = Catalog::new(Language::English);
    let args = DoctorArgs {
        quick: true,
        ..DoctorArgs::default()
    };
    let report = examine(&system, &args, &catalog);
    let plan = repair::plan(&system, None, &report);
    let applied = repair::apply(&system, &plan, &catalog);
    let state = |s: RepairState| applied.results.iter().filter(|r| r.state == s).count();
    assert_eq!(state(RepairState::Failed), 1);
    assert!(state(RepairState::Skipped) >= 6, "{:#?}", applied.results);
    assert!(applied.variables.is_empty());
    let made = Path::new("/home/me/.local/share/ferroductor");
    assert!(!system.exists(made));
}

#[test]
fn interpreters_of_other_origins_are_repaired_by_their_own_tools() {
    let table = [
        (
            "/home/me/.pyenv/versions/3.12.3",
            "pyenv install --force 3.12.3",
        ),
        (
            "/home/me/.local/share/uv/python/cpython-3.12.3-linux-x86_64-gnu",
            "uv python install --reinstall 3.12.3",
        ),
        (
            "/opt/homebrew/Cellar/python@3.12/3.12.3",
            "brew reinstall python@3.12",
        ),
    ];
    for (prefix, line) in table {
        let answer = python_answer("2.12.0", "3.12.3")
            .replace("\"/usr\"", &format!("\"{prefix}\""))
            .replace(
                "/usr/include/python3.12",
                &format!("{prefix}/include/python3.12"),
            );
        let machine = with_compilers(stripped("ID=debian\nVERSION_ID=\"12\"\n", 0)).with_script(
            "python3",
            "importlib",
            exits(0, &answer, ""),
        );
        assert_eq!(planned_lines(&machine), [line]);
    }
}
