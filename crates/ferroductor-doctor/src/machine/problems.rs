//! What stands in the way on this machine and is not one of the kinds.
//!
//! What must hold: a problem is sure, and its text says what to do.

use super::inventory::{Inventory, header_version};
use crate::diagnosis::Note;
use crate::i18n::{Argument, Catalog};
use ferroductor_toolchain::System;
use ferroductor_toolchain::system::quote;

pub fn find(system: &dyn System, inventory: &Inventory, catalog: &Catalog) -> Vec<Note> {
    [
        lost_interpreter(inventory, catalog),
        foreign_headers(system, inventory, catalog),
        memory_limit(inventory, catalog),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn note(catalog: &Catalog, id: &str, arguments: &[Argument<'_>]) -> Option<Note> {
    Some(Note {
        id: id.to_owned(),
        text: catalog.format(id, arguments),
    })
}

fn lost_interpreter(inventory: &Inventory, catalog: &Catalog) -> Option<Note> {
    let broken = inventory.python_error.as_ref()?.broken.as_ref()?;
    let reason = ("reason", broken.reason.as_str());
    match &broken.environment {
        Some(environment) => {
            let command = format!("python3 -m venv --clear {}", quote(environment));
            let arguments = [
                ("environment", environment.as_str()),
                reason,
                ("command", &command),
            ];
            note(catalog, "machine-environment-gone", &arguments)
        }
        None => {
            let arguments = [("path", broken.path.as_str()), reason];
            note(catalog, "machine-interpreter-gone", &arguments)
        }
    }
}

/// CPATH wins over the place an extension build names, so that headers of
/// another Python there are used although the right ones are installed.
fn foreign_headers(system: &dyn System, inventory: &Inventory, catalog: &Catalog) -> Option<Note> {
    let python = inventory.python.as_ref()?;
    let right = format!("{}.", python.minor_version());
    for variable in ["CPATH", "CPLUS_INCLUDE_PATH", "C_INCLUDE_PATH"] {
        let value = system.env(variable).unwrap_or_default();
        let folders = value.split(':').filter(|d| !d.is_empty());
        let found = folders
            .filter_map(|folder| Some((folder, header_version(system, folder)?)))
            .find(|(_, version)| version != "?");
        // The first headers on the path are those that count.
        let Some((folder, version)) = found.filter(|(_, v)| !v.starts_with(&right)) else {
            continue;
        };
        let arguments = [
            ("variable", variable),
            ("folder", folder),
            ("version", version.as_str()),
            ("python", python.version.as_str()),
        ];
        return note(catalog, "machine-foreign-headers", &arguments);
    }
    None
}

/// With less memory than this a compiler beside a Python process with torch is killed.
const LEAST_MEMORY: u64 = 1 << 30;

fn memory_limit(inventory: &Inventory, catalog: &Catalog) -> Option<Note> {
    let limit = inventory
        .limits
        .memory_bytes
        .filter(|m| *m < LEAST_MEMORY)?;
    let size = (limit >> 20).to_string();
    note(catalog, "machine-memory-limit", &[("size", &size)])
}
