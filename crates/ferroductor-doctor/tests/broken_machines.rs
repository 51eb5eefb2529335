//! Machines that are broken for real, in mount namespaces of their own.
//!
//! What must hold: each setup gives exactly its findings, in order of
//! dependency; repairs change nothing that was not announced; probes agree with
//! the truth. The host is never touched: every mount is private to a process,
//! and where files are written an overlay takes them.
//!
//! This needs root, `unshare`, a C++ compiler and a Python with its headers in
//! a place that every user can read; where one is missing the tests say so on
//! standard error and check nothing.

#![cfg(target_os = "linux")]

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

const DOCTOR: &str = env!("CARGO_BIN_EXE_ferroductor-doctor");

/// One way to break a machine.
struct Setup {
    name: &'static str,
    /// Shell lines that run as root in the namespace.
    breaks: &'static str,
    /// Words before the doctor, such as variables or another user.
    run: &'static str,
    /// Findings, then problems, in order.
    expected: &'static [&'static str],
}

const fn setup(
    name: &'static str,
    breaks: &'static str,
    run: &'static str,
    expected: &'static [&'static str],
) -> Setup {
    Setup {
        name,
        breaks,
        run,
        expected,
    }
}

/// In every setup `$INCLUDE` is the interpreter's folder of headers, `$GCC` the
/// compiler's own folder, `/mnt` a private tmpfs that holds the doctor and the
/// environment, and `/mnt/tools` the programs of a machine without compilers.
const STRANGER: &str = "setpriv --reuid 12345 --regid 12345 --clear-groups env -u USER -u LOGNAME -u USERNAME -u LNAME HOME=/mnt/home TMPDIR=/mnt/tmp";

const SETUPS: &[Setup] = &[
    setup(
        "no Python.h",
        "mount -t tmpfs none $INCLUDE",
        "",
        &["python-h-inductor-cpp"],
    ),
    setup(
        "no compiler at all",
        "",
        "PATH=/mnt/tools",
        &["no-cxx-compiler"],
    ),
    setup(
        "gcc without g++",
        "ln -s $(command -v gcc) /mnt/tools/gcc",
        "PATH=/mnt/tools",
        &["no-cxx-compiler"],
    ),
    setup(
        "no omp.h",
        "mount --bind /dev/null $GCC/include/omp.h",
        "",
        &["omp-h-linux"],
    ),
    setup(
        "no libgomp",
        "for f in libgomp.so libgomp.a libgomp.spec; do mount --bind /dev/null $GCC/$f; done",
        "",
        &["omp-h-linux"],
    ),
    setup(
        "no headers of the C library",
        "mount -t tmpfs none /usr/include/$(gcc -print-multiarch)/bits",
        "",
        &["libc-headers-missing"],
    ),
    setup(
        "cache on a noexec file system",
        "mkdir /mnt/c; mount -t tmpfs -o noexec none /mnt/c",
        "TORCHINDUCTOR_CACHE_DIR=/mnt/c/inductor",
        &["noexec-tmp"],
    ),
    setup(
        "full temporary folder",
        "mkdir /mnt/c; mount -t tmpfs -o size=64k none /mnt/c; dd if=/dev/zero of=/mnt/c/x bs=1k 2>/dev/null || true",
        "TMPDIR=/mnt/c",
        &["no-space-left"],
    ),
    setup(
        "read-only cache",
        "mkdir /mnt/c; mount -t tmpfs none /mnt/c; mount -o remount,ro /mnt/c",
        "TRITON_CACHE_DIR=/mnt/c/triton",
        &["read-only-filesystem"],
    ),
    setup(
        "user without an entry",
        "",
        "STRANGER",
        &["uid-without-passwd-entry"],
    ),
    setup(
        "cache with a space",
        "mkdir '/mnt/my cache'",
        "TORCHINDUCTOR_CACHE_DIR='/mnt/my cache'",
        &["path-with-spaces"],
    ),
    setup(
        "compiler that hangs",
        "mkdir /mnt/w; printf '#!/bin/sh\\nexec sleep 600\\n' > /mnt/w/g++; chmod 755 /mnt/w/g++",
        "PATH=/mnt/w:$PATH",
        &["no-cxx-compiler"],
    ),
    setup(
        "compiler that crashes",
        "mkdir /mnt/w; printf '#!/bin/sh\\nkill -SEGV $$\\n' > /mnt/w/g++; chmod 755 /mnt/w/g++",
        "PATH=/mnt/w:$PATH",
        &["no-cxx-compiler"],
    ),
    setup(
        "compiler that prints garbage and builds nothing",
        "mkdir /mnt/w; printf '#!/bin/sh\\nhead -c 400 /dev/urandom\\n' > /mnt/w/g++; chmod 755 /mnt/w/g++",
        "PATH=/mnt/w:$PATH",
        &["no-cxx-compiler"],
    ),
    setup(
        "CXX names nothing",
        "",
        "CXX=g++-no-such CC=gcc",
        &["no-cxx-compiler"],
    ),
    setup(
        "launcher that is missing",
        "",
        "CXX='no-such-launcher g++'",
        &["no-cxx-compiler"],
    ),
    setup(
        "CPATH with the headers of another Python",
        "mkdir /mnt/old; touch /mnt/old/Python.h; echo '#define PY_VERSION \"3.6.1\"' > /mnt/old/patchlevel.h",
        "CPATH=/mnt/old",
        &["machine-foreign-headers"],
    ),
    setup(
        "cache of another user",
        "mkdir -p /mnt/c",
        "STRANGER USER=me TORCHINDUCTOR_CACHE_DIR=/mnt/c",
        &["cache-permission-denied"],
    ),
    setup(
        "folder of another user inside the cache",
        "mkdir -p /mnt/c/ab; chmod 777 /mnt/c",
        "STRANGER USER=me TORCHINDUCTOR_CACHE_DIR=/mnt/c",
        &["cache-permission-denied"],
    ),
    setup(
        "tiny shared memory",
        "mount -t tmpfs -o size=64k none /dev/shm",
        "",
        &["no-space-left"],
    ),
    setup(
        "extensions without ninja",
        "mkdir -p /mnt/e/py3/probe; ln -s $(command -v gcc) $(command -v g++) /mnt/tools/",
        "PATH=/mnt/tools TORCH_EXTENSIONS_DIR=/mnt/e",
        &["ninja-missing"],
    ),
    setup(
        "build lock that was left behind",
        "mkdir -p /mnt/e/py3/probe; touch /mnt/e/py3/probe/lock; printf '#!/bin/sh\\n' > /mnt/tools/ninja; chmod 755 /mnt/tools/ninja",
        "PATH=$PATH:/mnt/tools TORCH_EXTENSIONS_DIR=/mnt/e",
        &["stale-build-lock-hang"],
    ),
    setup(
        "environment whose interpreter is gone",
        "ln -sfn /usr/bin/python3.no-such $(readlink -f /mnt/venv)/bin/python3; sed -i 's/^executable.*/executable = \\/usr\\/bin\\/python3.no-such/' /mnt/venv/pyvenv.cfg",
        "",
        &["machine-environment-gone"],
    ),
    setup(
        "memory limit of a control group",
        "mount -t tmpfs none /sys/fs/cgroup; mkdir /sys/fs/cgroup/memory; echo 157286400 | tee /sys/fs/cgroup/memory.max > /sys/fs/cgroup/memory/memory.limit_in_bytes",
        "",
        &["machine-memory-limit"],
    ),
    setup(
        "stripped container",
        "mount -t tmpfs none $INCLUDE; mkdir /mnt/ro; mount -t tmpfs none /mnt/ro; mount -o remount,ro /mnt/ro",
        "STRANGER HOME=/mnt/ro TMPDIR=/mnt/ro PATH=/mnt/tools",
        &[
            "uid-without-passwd-entry",
            "read-only-filesystem",
            "no-cxx-compiler",
            "python-h-inductor-cpp",
        ],
    ),
];

/// Prints past the test harness, which keeps what passing tests print.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "broken machines: {text}");
}

/// The interpreter of these tests: one that every user may run.
fn python() -> Option<&'static str> {
    ["/usr/bin/python3", "/usr/local/bin/python3"]
        .into_iter()
        .find(|p| Path::new(p).exists())
}

fn shell(script: &str) -> Output {
    Command::new("sh")
        .args(["-c", script])
        .output()
        .expect("a shell is there")
}

/// Lines that every namespace begins with.
fn prelude(torch: bool) -> String {
    let python = python().unwrap_or("python3");
    // Only the metadata: the quick examination never imports torch.
    let metadata = if torch {
        "d=$(ls -d /mnt/venv/lib/python3*/site-packages)/torch-2.12.0.dist-info; mkdir $d; \
         printf 'Metadata-Version: 2.1\\nName: torch\\nVersion: 2.12.0\\n' > $d/METADATA"
    } else {
        ":"
    };
    format!(
        "set -e; mount --make-rprivate /; mount -t tmpfs -o mode=755 none /mnt; cp {DOCTOR} /mnt/doctor; \
         {python} -m venv --without-pip --symlinks /mnt/venv; {metadata}; \
         mkdir -m 777 /mnt/home /mnt/tmp; mkdir /mnt/tools; \
         for t in ld as openssl sh cp env sleep; do ln -s $(command -v $t) /mnt/tools/ || true; done; \
         unset VIRTUAL_ENV CONDA_PREFIX CXX CC CPATH TORCHINDUCTOR_CACHE_DIR TRITON_CACHE_DIR TORCH_EXTENSIONS_DIR; \
         export HOME=/mnt/home TMPDIR=/mnt/tmp LC_ALL=C.UTF-8; \
         INCLUDE=$({python} -c 'import sysconfig; print(sysconfig.get_paths()[\"include\"])'); \
         GCC=$(dirname $(gcc -print-libgcc-file-name)); "
    )
}

/// Runs a script in a mount namespace of its own.
fn in_namespace(script: &str) -> Output {
    Command::new("timeout")
        .args(["900", "unshare", "-m", "sh", "-c", script])
        .output()
        .expect("unshare is there")
}

fn ids(output: &Output) -> Vec<String> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        panic!(
            "no report ({e}): {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let of = |field: &str| {
        let items = report[field].as_array().cloned().unwrap_or_default();
        items
            .into_iter()
            .map(|item| item["id"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    [of("findings"), of("problems")].concat()
}

fn examine(breaks: &str, run: &str, options: &str, torch: bool) -> Output {
    // Later words win over those of the stranger.
    let run = match run.strip_prefix("STRANGER") {
        Some(more) => format!("{STRANGER}{more}"),
        None => format!("env {run}"),
    };
    in_namespace(&format!(
        "{}{breaks}\n exec {run} /mnt/doctor doctor {options} --format json --lang en --python /mnt/venv/bin/python",
        prelude(torch)
    ))
}

/// Why these tests cannot run here, if so.
fn obstacle() -> Option<String> {
    let needs = "test \"$(id -u)\" = 0 || { echo 'they need root'; exit 1; }; \
        for p in unshare setpriv timeout gcc g++ ld as openssl; do command -v $p > /dev/null || { echo \"$p is missing\"; exit 1; }; done; \
        unshare -m true 2> /dev/null || { echo 'mount namespaces are not allowed'; exit 1; }; \
        test -d /mnt || { echo '/mnt is missing'; exit 1; }";
    let output = shell(needs);
    if !output.status.success() {
        return Some(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    if python().is_none() {
        return Some("there is no Python in /usr/bin or /usr/local/bin".to_owned());
    }
    let healthy = examine("", "", "--quick", true);
    match serde_json::from_slice::<Value>(&healthy.stdout) {
        Err(_) => Some(String::from_utf8_lossy(&healthy.stderr).trim().to_owned()),
        Ok(_) if ids(&healthy).is_empty() => None,
        Ok(_) => Some(format!(
            "this machine is not healthy itself: {:?}",
            ids(&healthy)
        )),
    }
}

fn may_run(what: &str) -> bool {
    static OBSTACLE: OnceLock<Option<String>> = OnceLock::new();
    let obstacle = OBSTACLE.get_or_init(obstacle);
    if let Some(reason) = obstacle {
        say(&format!("{what} SKIPPED: {reason}"));
    }
    obstacle.is_none()
}

#[test]
fn every_cause_is_found_in_order_of_dependency() {
    if !may_run("findings") {
        return;
    }
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let work = || {
        while let Some(setup) = SETUPS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let output = examine(setup.breaks, setup.run, "--quick", true);
            let found = std::panic::catch_unwind(|| ids(&output));
            let right = found.as_ref().is_ok_and(|ids| ids == setup.expected);
            if !right || output.status.code() != Some(1) {
                let code = output.status.code();
                let text = format!("{}: {found:?}, exit code {code:?}", setup.name);
                wrong.lock().expect("no other test panicked").push(text);
            }
        }
    };
    // The setups wait more than they compute.
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(work);
        }
    });
    let wrong = wrong.into_inner().expect("no thread panicked");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    say(&format!("{} setups found", SETUPS.len()));
}

/// The state of each probe by its name.
fn probes(output: &Output) -> Vec<(String, bool, bool)> {
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let probes = report["verification"].as_array().cloned();
    let state = |probe: &Value| {
        let id = probe["id"].as_str().unwrap_or_default().to_owned();
        (id, probe["passed"] == true, probe["skipped"] == true)
    };
    probes.unwrap_or_default().iter().map(state).collect()
}

#[test]
fn probes_agree_with_the_truth() {
    if !may_run("probes") {
        return;
    }
    let passed = |output: &Output, id: &str| {
        let all = probes(output);
        let probe = all
            .iter()
            .find(|p| p.0 == id)
            .expect("each probe is reported");
        probe.1
    };
    let healthy = examine("", "", "", false);
    for id in ["probe-headers", "probe-openmp", "probe-cache"] {
        assert!(passed(&healthy, id), "{id}: {:?}", probes(&healthy));
    }
    let no_headers = examine("mount -t tmpfs none $INCLUDE", "", "", false);
    assert!(!passed(&no_headers, "probe-headers"));
    assert!(passed(&no_headers, "probe-openmp") && passed(&no_headers, "probe-cache"));
    let no_openmp = examine("mount --bind /dev/null $GCC/include/omp.h", "", "", false);
    assert!(!passed(&no_openmp, "probe-openmp") && passed(&no_openmp, "probe-headers"));
    let no_exec = "mkdir /mnt/c; mount -t tmpfs -o noexec none /mnt/c";
    let no_exec = examine(no_exec, "TORCHINDUCTOR_CACHE_DIR=/mnt/c/i", "", false);
    assert!(!passed(&no_exec, "probe-cache") && passed(&no_exec, "probe-headers"));
}

/// The same with a real torch: that of the project's own environment, or of
/// the interpreter in FERRODUCTOR_TEST_PYTHON.
#[test]
#[allow(clippy::disallowed_methods)]
fn inductor_is_verified_by_compiling() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let python = std::env::var("FERRODUCTOR_TEST_PYTHON")
        .unwrap_or_else(|_| own.to_string_lossy().into_owned());
    let has_torch = shell(&format!(
        "{python} -c 'import importlib.metadata as m; m.version(\"torch\")'"
    ));
    if !has_torch.status.success() {
        return say("Inductor SKIPPED: neither .venv nor FERRODUCTOR_TEST_PYTHON has torch");
    }
    if !may_run("Inductor") {
        return;
    }
    let doctor = format!("exec {DOCTOR} doctor --format json --lang en --python {python}");
    let healthy = in_namespace(&doctor);
    let inductor = |output: &Output| {
        let all = probes(output);
        all.iter()
            .any(|(id, passed, _)| id == "probe-inductor" && *passed)
    };
    if !ids(&healthy).is_empty() {
        let why = ids(&healthy);
        return say(&format!(
            "Inductor SKIPPED: {python} is not healthy here: {why:?}"
        ));
    }
    assert!(inductor(&healthy), "{:?}", probes(&healthy));
    assert_eq!(healthy.status.code(), Some(0));
    let include = "import sysconfig; print(sysconfig.get_paths()[\"include\"])";
    let hidden = in_namespace(&format!(
        "set -e; mount --make-rprivate /; mount -t tmpfs none $({python} -c '{include}'); {doctor}"
    ));
    assert!(!inductor(&hidden), "{:?}", probes(&hidden));
    assert_eq!(ids(&hidden), ["python-h-inductor-cpp"]);
}

/// Runs a script in an overlay of the whole machine; says what files it left there.
fn in_overlay(script: &str) -> (Output, Vec<String>) {
    let output = in_namespace(&format!(
        "{}mkdir -p /mnt/o/u /mnt/o/w /mnt/o/m; \
         mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/o/u,workdir=/mnt/o/w /mnt/o/m; \
         for d in proc sys dev mnt; do mount --rbind /$d /mnt/o/m/$d; done; \
         mount --make-rprivate /mnt/o/m; \
         touch /mnt/marker; {script}\n \
         (cd /mnt/o/u; find . ! -type d; cd /mnt/home; find . ! -type d | sed 's/^/home /'; cd /mnt/tmp; find . -mindepth 1 | sed 's/^/tmp /') >&2",
        prelude(false)
    ));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let left = text.lines().map(str::to_owned).collect();
    (output, left)
}

const AS_STRANGER: &str =
    "chroot /mnt/o/m setpriv --reuid 12345 --regid 12345 --clear-groups env USER=me";
const ON_VENV: &str = "--lang en --python /mnt/venv/bin/python";

#[test]
fn examining_and_planning_change_nothing() {
    if !may_run("no changes") {
        return;
    }
    let script = format!(
        "mount -t tmpfs none /mnt/o/m$INCLUDE; mkdir /mnt/headers; \
         {AS_STRANGER} /mnt/doctor doctor {ON_VENV} --format json > /dev/null 2>&1 || true; \
         {AS_STRANGER} /mnt/doctor doctor --fix --dry-run --quick {ON_VENV} > /dev/null 2>&1 || true; \
         echo n | {AS_STRANGER} /mnt/doctor doctor --fix --quick {ON_VENV} > /dev/null 2>&1 || true"
    );
    let (output, left) = in_overlay(&script);
    if !output.status.success() {
        return say(&format!("no changes SKIPPED: {left:?}"));
    }
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn headers_elsewhere_are_used_without_rights_and_only_the_announced_file_is_written() {
    if !may_run("CPATH") {
        return;
    }
    let script = format!(
        "mkdir -p /mnt/py/one/include; cp -rL $INCLUDE /mnt/py/one/include/; mount --rbind /mnt/py /mnt/o/m/opt; \
         mount -t tmpfs none /mnt/o/m$INCLUDE; \
         {AS_STRANGER} /mnt/doctor doctor --fix --yes {ON_VENV} --format json 2> /mnt/said; cp /mnt/said /mnt/o/"
    );
    let (output, left) = in_overlay(&script);
    if output.stdout.is_empty() {
        return say(&format!("CPATH SKIPPED: {left:?}"));
    }
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["outcome"], "healthy", "{report:#}");
    let commands: Vec<&str> = report["repairs"]
        .as_array()
        .expect("repairs were made")
        .iter()
        .filter_map(|r| r["command"].as_str())
        .collect();
    assert!(commands[0].starts_with("export CPATH=/opt/one/include/python3"));
    assert_eq!(left, ["home ./.config/ferroductor/toolchain.sh"]);
    assert!(commands[1].ends_with("/mnt/home/.config/ferroductor/toolchain.sh"));
}

#[test]
fn without_network_a_repair_says_so_and_leaves_nothing_behind() {
    if !may_run("offline") {
        return;
    }
    let has_apt = shell("command -v apt-get dpkg").status.success();
    if !has_apt {
        return say("offline SKIPPED: there is no apt");
    }
    // A network namespace without any interface.
    let script = format!(
        "mount -t tmpfs none /mnt/o/m$INCLUDE; mount -t tmpfs none /mnt/o/m/opt; mkdir -p /mnt/empty; \
         for d in /root /usr/local/include; do mount --bind /mnt/empty /mnt/o/m$d; done; \
         unshare -n {AS_STRANGER} /mnt/doctor doctor --fix --yes --quick {ON_VENV} --format json 2> /mnt/said || true"
    );
    let (output, left) = in_overlay(&script);
    if output.stdout.is_empty() {
        return say(&format!("offline SKIPPED: {left:?}"));
    }
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let states: Vec<&str> = report["repairs"]
        .as_array()
        .map(|r| r.iter().filter_map(|r| r["state"].as_str()).collect())
        .unwrap_or_default();
    assert!(
        states.contains(&"failed") && states.contains(&"skipped"),
        "{report:#}"
    );
    assert_eq!(ids(&output), ["python-h-inductor-cpp"]);
    assert_eq!(left, Vec::<String>::new());
}

/// The real installation takes minutes and the network: it runs when
/// FERRODUCTOR_APT_TESTS is set.
#[test]
#[allow(clippy::disallowed_methods)]
fn what_apt_removed_is_installed_or_unpacked_again() {
    if std::env::var("FERRODUCTOR_APT_TESTS").is_err() {
        return say("apt SKIPPED: FERRODUCTOR_APT_TESTS is not set");
    }
    if !may_run("apt") {
        return;
    }
    let as_root = "chroot /mnt/o/m env USER=root";
    let remove = "names=$(dpkg-query -W -f='${binary:Package}\n' | grep -E '^(libpython3.*-dev|(g[+][+]|gcc|clang)(-[0-9]+)?|libc6-dev)(:|$)'); \
        chroot /mnt/o/m apt-get remove -y $names > /mnt/removed 2>&1 || { cat /mnt/removed >&2; exit 1; }";
    for user in [as_root, AS_STRANGER] {
        let script = format!(
            "{remove}; mkdir /mnt/empty; mount --bind /mnt/empty /mnt/o/m/root; \
             {user} PATH=/usr/sbin:/usr/bin:/sbin:/bin /mnt/doctor doctor --fix --yes {ON_VENV} --format json 2> /mnt/said || cat /mnt/said >&2"
        );
        let (output, left) = in_overlay(&script);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("no report ({e}): {left:?}"));
        assert_eq!(report["outcome"], "healthy", "{user}: {report:#}");
        say(&format!("apt: repaired by {user}"));
    }
}
