//! Commands of the recipes that macOS spells differently.
//!
//! What must hold: a command for macOS uses no program or file of Linux alone
//! where macOS has its own.

use super::Plan;

/// Beginnings of lines for Linux, and what does the same; nothing leaves the line out.
const TABLE: &[(&str, &[&str])] = &[
    (
        "printf '#include <omp.h>",
        &[
            "printf '#include <omp.h>\\nint main() { return omp_get_max_threads() < 1; }' | clang++ -x c++ -Xclang -fopenmp -I\"$(brew --prefix libomp)/include\" -L\"$(brew --prefix libomp)/lib\" -lomp - -o /tmp/omp_probe && /tmp/omp_probe && echo OpenMP works",
        ],
    ),
    (
        "grep -o -w -E",
        &["sysctl -a | grep -E 'machdep.cpu.*features|hw.optional'"],
    ),
    (
        "dmesg",
        &["log show --last 1h --predicate 'eventMessage contains \"memorystatus\"' | tail -5"],
    ),
    (
        "export CC=/usr/bin/gcc",
        &["export CC=/usr/bin/clang CXX=/usr/bin/clang++"],
    ),
    ("sudo mount -o remount", &[]),
    ("ldd --version", &["sw_vers"]),
    ("g++ --version", &["clang++ --version"]),
    ("gcc --version", &["clang --version"]),
    (
        "export CXX=/usr/bin/g++ CC",
        &["export CXX=/usr/bin/clang++ CC=/usr/bin/clang"],
    ),
];

/// Rewrites all commands of a plan.
pub fn translate(plan: &mut Plan) {
    let fixes = plan.fixes.iter_mut().chain(&mut plan.without);
    let of_fixes = fixes.map(|f| &mut f.commands);
    for commands in of_fixes.chain(plan.verify.iter_mut().map(|s| &mut s.commands)) {
        *commands = commands.iter().flat_map(|c| command(c)).collect();
    }
}

fn command(line: &str) -> Vec<String> {
    match TABLE.iter().find(|(start, _)| line.starts_with(start)) {
        Some((_, lines)) => lines.iter().map(|l| (*l).to_owned()).collect(),
        None => vec![line.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmp_is_checked_the_way_of_apples_clang() {
        let line = command("printf '#include <omp.h>\\nint main()' | g++ -fopenmp -");
        assert!(line[0].contains("-Xclang -fopenmp") && line[0].contains("-lomp"));
        assert_eq!(command("brew install libomp"), ["brew install libomp"]);
    }
}
