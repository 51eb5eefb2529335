//! The boundaries that ARCHITECTURE.md states, compared with what the workspace says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

type Arrows = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The table of crates: names without their common prefix.
fn documented() -> Arrows {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = text.lines().filter(|l| l.starts_with("| `ferroductor-"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 3, "a row of the table has three cells: {row}");
        let name = cells[0].trim_matches('`').replace("ferroductor-", "");
        let uses = cells[2].trim_end_matches(" |").split(", ");
        let uses = uses.filter(|u| *u != "–").map(str::to_owned).collect();
        (name, uses)
    })
    .collect()
}

/// By crate of the workspace, what it depends on outside its tests.
fn declared() -> Arrows {
    let done = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let metadata: Value = serde_json::from_slice(&done.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let all = package["dependencies"].as_array().unwrap();
            let used = all.iter().filter(|d| d["kind"].as_str() != Some("dev"));
            (
                short(&package["name"]),
                used.map(|d| short(&d["name"])).collect(),
            )
        })
        .collect()
}

fn short(name: &Value) -> String {
    name.as_str().unwrap().replace("ferroductor-", "")
}

#[test]
fn arrows_are_those_of_the_table() {
    let declared = declared();
    let ours: BTreeSet<String> = declared.keys().cloned().collect();
    let between: Arrows = declared
        .iter()
        .map(|(name, uses)| (name.clone(), uses.intersection(&ours).cloned().collect()))
        .collect();
    assert_eq!(
        between,
        documented(),
        "left: Cargo.toml; right: ARCHITECTURE.md"
    );
}

#[test]
fn every_external_dependency_has_a_reason() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let declared = declared();
    for (name, uses) in &declared {
        for external in uses.iter().filter(|u| !declared.contains_key(*u)) {
            let family = format!("`{}-*`", external.split('-').next().unwrap());
            assert!(
                text.contains(&format!("`{external}`")) || text.contains(&family),
                "ARCHITECTURE.md does not say why {name} needs {external}"
            );
        }
    }
}

#[test]
fn each_world_is_known_to_one_crate() {
    let users = |external: &str| -> Vec<String> {
        let all = declared().into_iter();
        all.filter(|(_, uses)| uses.contains(external))
            .map(|(name, _)| name)
            .collect()
    };
    assert_eq!(users("pyo3"), ["python"]);
    assert_eq!(users("inkwell"), ["codegen"]);
    assert_eq!(users("torch"), ["python"]);
}

/// Rust files below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_core_touches_neither_environment_nor_disk() {
    // The C++ emitter's door to the compiler, which is given its folder.
    let door = Path::new("ferroductor-codegen/src/cpp/compile.rs");
    let worlds = ["std::env::", "std::fs", "std::process::Command", "std::net"];
    for name in ["ir", "abi", "compiler", "codegen"] {
        for path in sources(&root().join(format!("crates/ferroductor-{name}/src"))) {
            if path.ends_with(door) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for world in worlds {
                assert!(!text.contains(world), "{} uses {world}", path.display());
            }
        }
    }
}

#[test]
fn files_say_what_lives_in_them_and_stay_short() {
    for path in sources(&root().join("crates")) {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("//!"),
            "{} does not open with //!",
            path.display()
        );
        let lines = text.lines().count();
        assert!(lines <= 900, "{} has {lines} lines", path.display());
    }
}
