//! The recipes are written for a POSIX shell; here their commands become those
//! of Windows' own.
//!
//! What must hold: no command of a plan for Windows needs a POSIX shell or its
//! programs; what has no counterpart is left out, and a fix that thereby loses
//! everything it would run goes with it, unless it is the only one.

use super::Plan;

/// Rewrites all commands of a plan.
pub fn translate(plan: &mut Plan) {
    for fixes in [&mut plan.fixes, &mut plan.without] {
        let had_commands: Vec<bool> = fixes.iter().map(|f| !f.commands.is_empty()).collect();
        for fix in fixes.iter_mut() {
            fix.commands = all(&fix.commands);
        }
        let lost = |(had, fix): (&bool, &crate::diagnosis::Fix)| *had && fix.commands.is_empty();
        if had_commands.iter().zip(fixes.iter()).all(lost) {
            continue;
        }
        let mut had = had_commands.into_iter();
        fixes.retain(|fix| !had.next().unwrap_or(false) || !fix.commands.is_empty());
    }
    for step in &mut plan.verify {
        step.commands = all(&step.commands);
    }
}

fn all(commands: &[String]) -> Vec<String> {
    commands.iter().flat_map(|c| command(c)).collect()
}

/// Beginnings of POSIX lines and what does the same.
const TABLE: &[(&str, &[&str])] = &[
    (
        "printf '#include <omp.h>",
        &[
            "python -c \"open('omp_probe.cpp', 'w').write('#include <omp.h>\\nint main() { return omp_get_max_threads() < 1; }')\"",
            "cl /nologo /openmp omp_probe.cpp && omp_probe.exe && echo OpenMP works",
        ],
    ),
    (
        "printf '#include <vector>",
        &[
            "python -c \"open('cxx_probe.cpp', 'w').write('#include <vector>\\nint main() { return 0; }')\"",
            "cl /nologo /EHsc /std:c++20 cxx_probe.cpp && cxx_probe.exe && echo it compiles",
        ],
    ),
    ("${CXX:-g++} --version", &["cl"]),
    ("g++ --version", &["cl"]),
    ("gcc --version", &["cl"]),
    ("which g++", &["where cl"]),
    ("${TRITON_PTXAS_PATH:-ptxas}", &["ptxas --version"]),
    ("df -h", &["fsutil volume diskfree C:"]),
    ("du -sh", &["dir /s \"%TEMP%\\torchinductor_%USERNAME%\""]),
    (
        "d=\"${TORCHINDUCTOR_CACHE_DIR",
        &[
            "python -c \"import os, tempfile; p = os.path.join(os.environ.get('TORCHINDUCTOR_CACHE_DIR', tempfile.gettempdir()), 'probe'); open(p, 'w').close(); os.remove(p); print('writable')\"",
        ],
    ),
    (
        "rm -rf ~/.cache/torch_extensions",
        &["rmdir /s /q \"%LOCALAPPDATA%\\torch_extensions\""],
    ),
    (
        "rm -rf",
        &["rmdir /s /q \"%TEMP%\\torchinductor_%USERNAME%\""],
    ),
    (
        "find / -name 'libcudart",
        &["where /r \"%CUDA_PATH%\" cudart64*.dll"],
    ),
    (
        "ls -d /usr/local/cuda",
        &["dir \"%ProgramFiles%\\NVIDIA GPU Computing Toolkit\\CUDA\""],
    ),
    ("type -a nvcc", &["where nvcc"]),
    (
        "grep -rn 'std=c++'",
        &["findstr /n /s std:c++ setup.py CMakeLists.txt"],
    ),
    ("dmesg", &["systeminfo | findstr Memory"]),
    (
        "grep -o -w",
        &["python -c \"import torch; print(torch.backends.cpu.get_cpu_capability())\""],
    ),
    ("env | wc", &["set"]),
    ("unset CXX CC", &["set CXX=", "set CC="]),
    ("echo \"CXX=", &["echo %CXX% %CC%"]),
];

/// Programs and constructs that only a POSIX system has.
const FOREIGN: &[&str] = &[
    "$",
    "/tmp",
    "/usr/",
    "/opt/",
    "/sbin/",
    "/dev/",
    "~/",
    "sudo ",
    "apt-get",
    "dnf ",
    "brew ",
    "find ",
    "ls -",
    "grep ",
    "ldconfig",
    "strings ",
    "ldd ",
    "ulimit",
    "type -a",
    "chmod ",
    "mkdir -p",
    "nix-shell",
    "useradd",
    "awk ",
];

fn command(line: &str) -> Vec<String> {
    if let Some(rest) = line.strip_prefix("find \"${TORCH_EXTENSIONS_DIR") {
        let verb = if rest.contains("-delete") {
            "del /s"
        } else {
            "dir /s /b"
        };
        return vec![format!("{verb} \"%LOCALAPPDATA%\\torch_extensions\\lock\"")];
    }
    if let Some(place) = line.strip_prefix("ls -ld ") {
        return vec![format!("icacls {place}")];
    }
    if let Some((_, lines)) = TABLE.iter().find(|(start, _)| line.starts_with(start)) {
        return lines.iter().map(|l| (*l).to_owned()).collect();
    }
    if let Some(assignments) = line.strip_prefix("export ") {
        return settings(assignments);
    }
    // What runs inside a container or in Python is the same everywhere.
    let portable = [
        "docker ", "python", "winget ", "conda ", "uv ", "FROM ", "RUN ", "USER ", "model = ",
    ];
    let same = portable.iter().any(|p| line.starts_with(p));
    if same || !FOREIGN.iter().any(|word| line.contains(word)) {
        vec![line.to_owned()]
    } else {
        Vec::new()
    }
}

/// `A=x B="y:$B"` as one `set` each.
fn settings(assignments: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for word in words(assignments) {
        let Some((name, value)) = word.split_once('=') else {
            continue;
        };
        let named = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit());
        let value = value_of(value);
        if named && !FOREIGN.iter().any(|f| value.contains(f)) {
            lines.push(format!("set {name}={value}"));
        }
    }
    lines
}

fn value_of(value: &str) -> String {
    const PLACES: &[(&str, &str)] = &[
        ("$HOME/.cache", "%LOCALAPPDATA%"),
        ("$HOME", "%USERPROFILE%"),
        ("/usr/local/cuda", "%CUDA_PATH%"),
        ("/path/to", "C:\\path\\to"),
        ("/tmp", "%TEMP%"),
        ("$(hostname)", "%COMPUTERNAME%"),
        ("${LOCAL_RANK:-0}", "%LOCAL_RANK%"),
        (":$PATH", ";%PATH%"),
        (":$LIBRARY_PATH", ";%LIB%"),
        (":$CPATH", ";%INCLUDE%"),
    ];
    let mut shown = value.to_owned();
    for (posix, windows) in PLACES {
        shown = shown.replace(posix, windows);
    }
    if shown == value {
        shown
    } else {
        shown.replace('/', "\\")
    }
}

/// Words of a shell line; quotes are taken off, and a later command ends them.
fn words(line: &str) -> Vec<String> {
    let line = line.split(" && ").next().unwrap_or(line);
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => words.push(String::new()),
            (c, _) => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::{Catalog, Language};
    use crate::kind::Kind;
    use crate::platform::{Family, SystemGuess};

    #[test]
    fn variables_are_set_the_way_of_windows() {
        assert_eq!(
            command("export TORCHINDUCTOR_CACHE_DIR=\"$HOME/.cache/torchinductor\" MAX_JOBS=1"),
            [
                "set TORCHINDUCTOR_CACHE_DIR=%LOCALAPPDATA%\\torchinductor",
                "set MAX_JOBS=1"
            ]
        );
        assert_eq!(
            command("export CUDA_HOME=/usr/local/cuda PATH=\"/usr/local/cuda/bin:$PATH\""),
            [
                "set CUDA_HOME=%CUDA_PATH%",
                "set PATH=%CUDA_PATH%\\bin;%PATH%"
            ]
        );
        assert_eq!(command("export CC=/usr/bin/gcc"), Vec::<String>::new());
        assert_eq!(command(super::super::kinds::BUILD_TOOLS).len(), 1);
    }

    #[test]
    fn no_command_for_windows_needs_a_posix_shell() {
        let system = SystemGuess {
            family: Some(Family::Windows),
            stated: true,
            python: Some("3.12".to_owned()),
            ..SystemGuess::default()
        };
        let catalog = Catalog::new(Language::English);
        for kind in Kind::ALL {
            let plan = super::super::plan(*kind, "x", &system, &catalog);
            let fixes = plan.fixes.iter().chain(&plan.without);
            let commands = fixes.flat_map(|f| &f.commands);
            for line in commands.chain(plan.verify.iter().flat_map(|s| &s.commands)) {
                let foreign = [
                    "export ", "unset ", "$HOME", "${", "rm -rf", "sudo ", "ldconfig", "apt-get",
                    "brew ",
                ];
                assert!(
                    !foreign.iter().any(|f| line.contains(f)),
                    "{kind:?}: {line}"
                );
            }
        }
    }
}
