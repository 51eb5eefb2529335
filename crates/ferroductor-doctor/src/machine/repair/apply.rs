//! Carrying out a plan.
//!
//! What must hold: each step is reported as done, failed or not run; after a
//! failure the steps that depend on it are left out, and a folder that was made
//! for them is removed again, so that nothing half-done stays unnoticed.

use super::{Action, Plan, Step, export_line};
use crate::diagnosis::{RepairResult, RepairState};
use crate::i18n::Catalog;
use crate::kind::Kind;
use crate::machine::secrets::Secrets;
use ferroductor_toolchain::system::quote;
use ferroductor_toolchain::{Command, System};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Applied {
    pub results: Vec<RepairResult>,
    /// The variables that were set.
    pub variables: Vec<(String, String)>,
}

impl Applied {
    pub fn is_complete(&self) -> bool {
        self.results.iter().all(|r| r.state == RepairState::Done)
    }
}

/// Carries out a plan, and says each step's outcome on standard error.
pub fn apply(system: &dyn System, plan: &Plan, catalog: &Catalog) -> Applied {
    let mut run = Application {
        system,
        catalog,
        secrets: Secrets::of(system),
        failed: Vec::new(),
        made: Vec::new(),
        applied: Applied::default(),
    };
    for step in &plan.steps {
        run.step(step);
    }
    run.applied
}

struct Application<'a> {
    system: &'a dyn System,
    catalog: &'a Catalog,
    secrets: Secrets,
    /// Kinds for which a step failed.
    failed: Vec<Kind>,
    /// Folders that steps made, with the kind they were for.
    made: Vec<(Kind, PathBuf)>,
    applied: Applied,
}

impl Application<'_> {
    fn step(&mut self, step: &Step) {
        let line = self.secrets.hide(&step.short_line(self.system.platform()));
        let keeps_variables = matches!(step.action, Action::WriteVariables(..));
        if self.failed.contains(&step.kind) && !keeps_variables {
            self.say("ui-step-skipped", &line);
            return self.note(line, RepairState::Skipped, String::new());
        }
        if keeps_variables && self.applied.variables.is_empty() {
            return self.note(line, RepairState::Skipped, String::new());
        }
        match self.carry_out(step) {
            Ok(()) => {
                self.say("ui-applied", &line);
                self.note(line, RepairState::Done, String::new());
            }
            Err(error) => {
                let error = self.secrets.hide(&error);
                self.say("ui-apply-failed", &line);
                eprintln!("{error}");
                self.note(line, RepairState::Failed, error);
                if !matches!(step.action, Action::Attempt(_)) {
                    self.failed.push(step.kind);
                    self.take_back(step.kind);
                }
            }
        }
    }

    fn say(&self, message: &str, line: &str) {
        eprintln!("{}", self.catalog.format(message, &[("command", line)]));
    }

    fn note(&mut self, command: String, state: RepairState, printed: String) {
        self.applied.results.push(RepairResult {
            command,
            state,
            printed,
        });
    }

    fn carry_out(&mut self, step: &Step) -> Result<(), String> {
        match &step.action {
            Action::SetVariable(name, value) => {
                self.applied.variables.push((name.clone(), value.clone()));
                Ok(())
            }
            Action::CreateFolder(path) => self.create(step.kind, path),
            Action::WriteProgram(path, text) => self.write_program(path, text),
            Action::WriteVariables(path, _) => self.write_variables(path),
            Action::Run(words) | Action::Attempt(words) => self.run(words),
        }
    }

    fn create(&mut self, kind: Kind, path: &Path) -> Result<(), String> {
        // What has to be made is remembered from its outermost new folder on.
        let mut new = path.ancestors().take_while(|p| !self.system.exists(p));
        let outermost = new.by_ref().last().map(Path::to_path_buf);
        self.system
            .create_dir_all(path)
            .map_err(|e| format!("{}: {e}", path.display()))?;
        self.made.extend(outermost.map(|path| (kind, path)));
        Ok(())
    }

    fn take_back(&mut self, kind: Kind) {
        let made: Vec<PathBuf> = self
            .made
            .extract_if(.., |(k, _)| *k == kind)
            .map(|(_, path)| path)
            .collect();
        for path in made {
            if self.system.remove_dir_all(&path).is_ok() {
                let path = path.to_string_lossy();
                eprintln!(
                    "{}",
                    self.catalog.format("ui-step-undone", &[("path", &path)])
                );
            }
        }
    }

    fn write_program(&self, path: &Path, text: &str) -> Result<(), String> {
        let shown = path.to_string_lossy().into_owned();
        self.system
            .write(path, text.as_bytes())
            .map_err(|e| format!("{shown}: {e}"))?;
        self.run(&["chmod".to_owned(), "755".to_owned(), shown])
    }

    /// Lines for other variables that the file holds already stay.
    fn write_variables(&self, path: &Path) -> Result<(), String> {
        let variables = &self.applied.variables;
        let failed = |e: std::io::Error| format!("{}: {e}", path.display());
        if let Some(folder) = path.parent() {
            self.system.create_dir_all(folder).map_err(failed)?;
        }
        let shown = path.to_string_lossy().into_owned();
        let old = self.system.read_text(&shown).unwrap_or_default();
        let is_replaced = |line: &str| {
            let name = line
                .strip_prefix("export ")
                .and_then(|l| l.split('=').next());
            name.is_some_and(|n| variables.iter().any(|(v, _)| v == n))
        };
        let mut text: String = old
            .lines()
            .filter(|l| !is_replaced(l))
            .map(|l| format!("{l}\n"))
            .collect();
        if old.is_empty() {
            text = "# Written by `ferroductor doctor --fix`; load it with `.`\n".to_owned();
        }
        for (name, value) in variables {
            text.push_str(&persistent_line(self.system, name, value));
        }
        self.system.write(path, text.as_bytes()).map_err(failed)?;
        let line = format!(". {}", quote(&shown));
        eprintln!(
            "{}",
            self.catalog.format("ui-load-file", &[("line", &line)])
        );
        Ok(())
    }

    fn run(&self, words: &[String]) -> Result<(), String> {
        let Some((program, args)) = words.split_first() else {
            return Ok(());
        };
        let mut command = Command::new(program)
            .args(args.iter().cloned())
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C")
            .time_limit(Duration::from_secs(1800));
        for (name, value) in &self.applied.variables {
            command = command.env(name, value);
        }
        let run = self.system.run(&command);
        if run.succeeded() {
            return Ok(());
        }
        let text = run.report();
        let lines: Vec<&str> = text.lines().collect();
        Err(lines[lines.len().saturating_sub(8)..].join("\n"))
    }
}

/// A search path keeps what the shell that loads the file has in it.
fn persistent_line(system: &dyn System, name: &str, value: &str) -> String {
    let inherited = system.env(name).filter(|v| !v.is_empty());
    let own = inherited
        .as_deref()
        .and_then(|old| value.strip_suffix(old))
        .and_then(|own| own.strip_suffix(':'));
    let search_path = ["PATH", "CPATH", "LIBRARY_PATH", "LD_LIBRARY_PATH"].contains(&name);
    match own {
        _ if !search_path => format!("{}\n", export_line(name, value)),
        Some(own) => format!("export {name}={}\"${{{name}:+:${name}}}\"\n", quote(own)),
        None => format!("export {name}={}\"${{{name}:+:${name}}}\"\n", quote(value)),
    }
}
