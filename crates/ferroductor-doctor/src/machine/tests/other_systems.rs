//! Windows, macOS, conda and WSL in memory: what is found and what would be done.

use super::*;
use ferroductor_toolchain::Platform;
use ferroductor_toolchain::fake::ends;

const CL: &str = "Microsoft (R) C/C++ Optimizing Compiler Version 19.40.33811 for x64\n";
const VS: &str = "C:/Program Files (x86)/Microsoft Visual Studio";
const SCRIPT: &str = "/2022/BuildTools/VC/Auxiliary/Build/vcvars64.bat";

fn windows_answer(prefix: &str, conda: bool) -> String {
    format!(
        r#"{{"version": "3.12.7", "executable": "{prefix}/python.exe", "prefix": "{prefix}", "base_prefix": "{prefix}", "include": "{prefix}/Include", "suffix": ".pyd", "cflags": "", "torch": "2.12.0", "torch_dir": "{prefix}/Lib/site-packages/torch", "torch_wants": ["setuptools"], "triton": null, "setuptools": "80.0", "ninja": null, "pip": "25.0", "conda": {conda}}}"#
    )
}

/// Windows with Python from python.org and without a compiler.
fn windows(prefix: &str, conda: bool) -> FakeSystem {
    FakeSystem::new(Platform::Windows)
        .with_env("PATH", "C:/Python;C:/Windows")
        .with_env("USERPROFILE", "C:/Users/me")
        .with_env("LOCALAPPDATA", "C:/Users/me/AppData/Local")
        .with_env("TEMP", "C:/Users/me/AppData/Local/Temp")
        .with_env("USERNAME", "me")
        .with_env("ProgramFiles(x86)", "C:\\Program Files (x86)")
        .with_file("C:/Users/me/AppData/Local/Temp/.keep", "")
        .with_file("C:/Windows/.keep", "")
        .with_program("C:/Python/python.exe")
        .with_file(&format!("{prefix}/Include/Python.h"), "")
        .with_file(
            &format!("{prefix}/Include/patchlevel.h"),
            "#define PY_VERSION \"3.12.7\"\n",
        )
        .with_script(
            "python.exe",
            "importlib",
            exits(0, &windows_answer(prefix, conda), ""),
        )
}

const PYTHON_ORG: &str = "C:/Users/me/AppData/Local/Programs/Python/Python312";

/// The same with Visual Studio's compiler set up in this console.
fn with_cl(machine: FakeSystem) -> FakeSystem {
    machine
        .with_program("C:/Windows/cl.exe")
        .with_env("INCLUDE", "C:/vc/include")
        .with_script("cl.exe", "", exits(0, "", CL))
}

fn with_installation(machine: FakeSystem) -> FakeSystem {
    let place = "C:\\Program Files (x86)\\Microsoft Visual Studio\\2022\\BuildTools\r\n";
    machine
        .with_program(&format!("{VS}/Installer/vswhere.exe"))
        .with_file(&format!("{VS}{SCRIPT}"), "")
        .with_script("vswhere.exe", "installationPath", exits(0, place, ""))
}

fn first_fix(report: &Report) -> &crate::diagnosis::Fix {
    &report.findings[0].fixes[0]
}

#[test]
fn a_windows_machine_with_a_compiler_is_healthy() {
    let system = with_cl(windows(PYTHON_ORG, false));
    let report = examined(&system);
    assert_eq!(report.outcome, Outcome::Healthy, "{:?}", report.findings);
    let history = system.history.lock().expect("no test panicked here");
    let built = history.iter().find(|l| l.contains("/openmp"));
    let line = built.expect("OpenMP is tried the way of cl");
    assert!(line.contains("/LD") && line.contains("/Fe") && !line.contains("-fopenmp"));
    assert!(
        history
            .iter()
            .all(|l| !l.contains("--version") || !l.contains("cl.exe"))
    );
}

#[test]
fn a_compiler_without_openmp_says_so_on_windows() {
    let refused =
        "x.cpp(1): fatal error C1083: Cannot open include file: 'omp.h': No such file or directory";
    let system =
        with_cl(windows(PYTHON_ORG, false)).with_script("cl.exe", "/openmp", exits(2, refused, ""));
    let report = examined(&system);
    let cxx = &report.inventory.as_ref().expect("an inventory")["cxx"];
    assert_eq!(cxx["openmp"], false);
    assert!(!report.findings.is_empty());
}

#[test]
fn a_compiler_whose_environment_is_not_loaded_is_told_from_a_missing_one() {
    let refused = "probe.cpp(1): fatal error C1034: algorithm: no include path set";
    let system = with_installation(windows(PYTHON_ORG, false))
        .with_program("C:/Windows/cl.exe")
        .with_script("cl.exe", "", exits(0, "", CL))
        .with_script("cl.exe", "/LD", exits(2, refused, ""));
    let report = examined(&system);
    assert_eq!(report.findings[0].id, Kind::MsvcEnvironmentNotLoaded);
    assert!(
        first_fix(&report).commands[0].contains("BuildTools\\VC\\Auxiliary\\Build\\vcvars64.bat")
    );
    assert_eq!(planned_lines(&system), Vec::<String>::new());
}

#[test]
fn a_missing_compiler_is_installed_and_an_installed_one_is_named() {
    let missing = windows(PYTHON_ORG, false).with_program("C:/Windows/winget.exe");
    let report = examined(&missing);
    assert_eq!(report.findings[0].id, Kind::MsvcClNotFound);
    assert!(
        first_fix(&report).commands[0].contains("VC.Tools")
            || first_fix(&report).commands[0].contains("VCTools")
    );
    let lines = planned_lines(&missing);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("winget install --exact --id Microsoft.VisualStudio.2022.BuildTools --override \"--quiet --wait"),
        "{lines:?}"
    );
    let installed = with_installation(missing);
    let report = examined(&installed);
    let script = "\"C:\\Program Files (x86)\\Microsoft Visual Studio\\2022\\BuildTools\\VC\\Auxiliary\\Build\\vcvars64.bat\"";
    assert_eq!(first_fix(&report).commands, [script]);
    assert!(
        report.findings[0]
            .evidence
            .iter()
            .any(|e| e.text.contains("vcvars64.bat: installed"))
    );
    // Nobody can load it into the console that is open.
    assert_eq!(planned_lines(&installed), Vec::<String>::new());
}

#[test]
fn variables_are_kept_by_setx_on_windows() {
    let system = with_cl(windows(PYTHON_ORG, false))
        .with_env("TRITON_CACHE_DIR", "D:/cache")
        .with_file("D:/cache/.keep", "")
        .with_space("D:/", FULL)
        .with_program("C:/Windows/setx.exe");
    let report = examined(&system);
    assert_eq!(report.findings[0].id, Kind::NoSpaceLeft);
    let lines = planned_lines(&system);
    let folder = "C:/Users/me/AppData/Local/ferroductor-toolchain/triton";
    assert_eq!(
        lines,
        [
            format!("mkdir {folder}"),
            format!("set TRITON_CACHE_DIR={folder}"),
            format!("setx TRITON_CACHE_DIR {folder}"),
        ]
    );
    let plan = repair::plan(&system, None, &report);
    let applied = repair::apply(&system, &plan, &Catalog::new(Language::English));
    assert!(applied.is_complete(), "{:?}", applied.results);
    let history = system.history.lock().expect("no test panicked here");
    assert!(
        history
            .iter()
            .any(|l| l.starts_with("setx TRITON_CACHE_DIR"))
    );
}

#[test]
fn the_path_of_windows_is_left_alone() {
    let answer =
        windows_answer(PYTHON_ORG, false).replace("\"ninja\": null", "\"ninja\": \"1.11\"");
    let system = with_cl(windows(PYTHON_ORG, false)).with_script(
        "python.exe",
        "importlib",
        exits(0, &answer, ""),
    );
    assert_eq!(kinds(&system), [Kind::NinjaMissing]);
    let lines = planned_lines(&system);
    assert!(lines.iter().all(|l| !l.contains("PATH")), "{lines:?}");
    assert!(lines[0].ends_with("-m pip install ninja"), "{lines:?}");
}

#[test]
fn a_conda_environment_is_repaired_by_its_own_tool_and_in_its_own_place() {
    let prefix = "/home/me/miniforge3/envs/train";
    let answer = python_answer("2.12.0", "3.12.3")
        .replace("\"/usr\"", &format!("\"{prefix}\""))
        .replace("/usr/include", &format!("{prefix}/include"))
        .replace("\"conda\": false", "\"conda\": true");
    let machine = |program: &str| {
        stripped(UBUNTU, 1000)
            .with_program(&format!("/usr/bin/{program}"))
            .with_script("python3", "importlib", exits(0, &answer, ""))
    };
    for program in ["conda", "mamba", "micromamba"] {
        assert_eq!(
            planned_lines(&machine(program)),
            [
                format!("{program} install -y -p {prefix} -c conda-forge cxx-compiler"),
                format!("{program} install -y -p {prefix} --force-reinstall python=3.12.3"),
            ]
        );
    }
    let report = examined(&machine("conda"));
    assert!(
        report
            .findings
            .iter()
            .all(|f| f.fixes[0].commands[0].starts_with("conda install"))
    );
}

#[test]
fn conda_on_windows_brings_no_compiler() {
    let prefix = "C:/Users/me/miniconda3/envs/train";
    let system = windows(prefix, true)
        .with_program("C:/Windows/conda.exe")
        .with_program("C:/Windows/winget.exe");
    assert_eq!(kinds(&system), [Kind::MsvcClNotFound]);
    let lines = planned_lines(&system);
    assert!(
        lines.len() == 1 && lines[0].starts_with("winget install"),
        "{lines:?}"
    );
}

/// What `uname`, the interpreter's place and the rights lead to.
#[test]
fn interpreters_of_macos_and_of_archives_get_their_own_repair() {
    let answer = |prefix: &str| {
        python_answer("2.12.0", "3.12.3")
            .replace("\"/usr\"", &format!("\"{prefix}\""))
            .replace(
                "/usr/include/python3.12",
                &format!("{prefix}/include/python3.12"),
            )
    };
    let mac = |prefix: &str| {
        with_compilers(FakeSystem::new(Platform::MacOs))
            .with_env("HOME", "/Users/me")
            .with_env("USER", "me")
            .with_file("/Users/me/.keep", "")
            .with_file("/tmp/.keep", "")
            .with_file("/etc/passwd", "me:x:1000:1000::/Users/me:/bin/sh\n")
            .with_program("/usr/bin/python3")
            .with_script("python3", "importlib", exits(0, &answer(prefix), ""))
    };
    let table: [(&str, &[&str]); 4] = [
        (
            "/opt/homebrew/opt/python@3.12/Frameworks/Python.framework/Versions/3.12",
            &["brew reinstall python@3.12"],
        ),
        (
            "/usr/local/opt/python@3.12/Frameworks/Python.framework/Versions/3.12",
            &["brew reinstall python@3.12"],
        ),
        (
            "/Library/Developer/CommandLineTools/Library/Frameworks/Python3.framework/Versions/3.12",
            &["xcode-select --install"],
        ),
        ("/Library/Frameworks/Python.framework/Versions/3.12", &[]),
    ];
    for (prefix, lines) in table {
        assert_eq!(planned_lines(&mac(prefix)), lines, "{prefix}");
    }
}

#[test]
fn ubuntu_takes_another_python_from_deadsnakes_and_adds_it_only_once() {
    let newer = python_answer("2.12.0", "3.13.2").replace("python3.12", "python3.13");
    let machine = with_compilers(stripped(UBUNTU, 0)).with_script(
        "python3",
        "importlib",
        exits(0, &newer, ""),
    );
    assert_eq!(
        planned_lines(&machine),
        [
            "apt-get update",
            "apt-get install -y software-properties-common",
            "add-apt-repository -y ppa:deadsnakes/ppa",
            "apt-get install -y python3.13-dev",
        ]
    );
    let added = machine.with_file(
        "/etc/apt/sources.list.d/deadsnakes-ubuntu-ppa-noble.sources",
        "",
    );
    assert_eq!(
        planned_lines(&added),
        [
            "apt-get update",
            "apt-get install -y --no-install-recommends python3.13-dev",
        ]
    );
}

#[test]
fn a_derivative_counts_as_the_release_it_is_made_from() {
    let mint =
        "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"22\"\nUBUNTU_CODENAME=noble\n";
    let report = examined(&stripped(mint, 0));
    assert_eq!(report.facts.system.version.as_deref(), Some("24.04"));
}

#[test]
fn wsl_is_the_linux_it_runs_and_says_so() {
    let system = healthy().with_file(
        "/proc/version",
        "Linux version 5.15 (Microsoft@Microsoft.com) microsoft-standard-WSL2",
    );
    let report = examined(&system);
    assert!(report.facts.system.wsl && report.outcome == Outcome::Healthy);
    assert!(report.inventory_lines[0].1.contains("WSL"));
}

#[test]
fn a_hanging_search_for_visual_studio_is_no_installation() {
    let system = with_installation(windows(PYTHON_ORG, false)).with_script(
        "vswhere.exe",
        "installationPath",
        ends(ferroductor_toolchain::Outcome::TimedOut, ""),
    );
    assert_eq!(examined(&system).facts.system.vcvars, None);
}
