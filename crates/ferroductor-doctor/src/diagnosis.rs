//! A diagnosis as data: what every renderer shows and JSON carries.
//!
//! What must hold: texts are already in the reader's language; a renderer
//! needs nothing but this; the field names are the public schema, and a change
//! that breaks a reader changes [`SCHEMA`].

use crate::kind::Kind;
use crate::platform::SystemGuess;
use crate::rules::Confidence;
use serde::Serialize;

/// Name and version of the JSON form.
pub const SCHEMA: &str = "ferroductor-doctor/1";

/// What came out, and the exit code that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Healthy,
    Findings,
    CouldNotTell,
}

impl Outcome {
    pub fn exit_code(self) -> i32 {
        match self {
            Outcome::Healthy => 0,
            Outcome::Findings => 1,
            Outcome::CouldNotTell => 3,
        }
    }
}

/// The exit code of wrong usage; clap uses the same.
pub const EXIT_USAGE: i32 = 2;

/// Everything one run says.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub tool: Tool,
    pub mode: Mode,
    pub language: &'static str,
    pub outcome: Outcome,
    pub facts: Facts,
    /// In order of dependency; roots before their consequences.
    pub findings: Vec<Finding>,
    /// Identifiers and texts of failures that are not about a toolchain.
    pub not_toolchain: Vec<Note>,
    /// The lines most worth reading, when no finding was made.
    pub relevant_lines: Vec<EvidenceLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inventory_lines: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verification: Vec<VerificationResult>,
    /// Problems of the machine that are not one of the kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Note>,
    /// What `--fix` did, or with `--dry-run` would do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<RepairResult>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Tool {
    pub name: &'static str,
    pub version: &'static str,
    /// When the tables of facts were last checked.
    pub facts_checked: &'static str,
}

impl Default for Tool {
    fn default() -> Self {
        Self {
            name: "ferroductor-doctor",
            version: env!("CARGO_PKG_VERSION"),
            facts_checked: crate::facts::CHECKED,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Explain,
    Doctor,
}

/// What was read or examined besides the failures.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Facts {
    pub lines: u64,
    pub bytes: u64,
    pub python: Option<String>,
    pub torch: Option<String>,
    pub torch_dir: Option<String>,
    pub system: SystemGuess,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Root,
    Consequence,
}

/// One failure, explained.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub id: Kind,
    pub confidence: Confidence,
    pub role: Role,
    pub caused_by: Vec<Kind>,
    /// The cause in one sentence.
    pub cause: String,
    pub evidence: Vec<EvidenceLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Note>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandParts>,
    pub why: String,
    pub notes: Vec<Note>,
    /// The fix in words.
    pub fix: String,
    pub fixes: Vec<Fix>,
    /// What to do when no fix can be applied.
    pub without: Vec<Fix>,
    pub verify: Vec<Step>,
    /// Popular advice that misleads here.
    pub advice: Vec<Note>,
}

/// A line of the log, or of a probe's output.
#[derive(Debug, Clone, Serialize)]
pub struct EvidenceLine {
    /// From 1; absent for what a probe printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    pub text: String,
    pub occurrences: u32,
}

/// A text with a stable identifier.
#[derive(Debug, Clone, Serialize)]
pub struct Note {
    pub id: String,
    pub text: String,
}

/// A compile command taken apart.
#[derive(Debug, Clone, Serialize)]
pub struct CommandParts {
    pub line: u64,
    pub program: String,
    pub program_meaning: String,
    pub flags: Vec<FlagPart>,
}

#[derive(Debug, Clone, Serialize)]
pub struct FlagPart {
    pub flag: String,
    pub role: &'static str,
    pub meaning: String,
    /// Whether the path exists on this machine; absent when it was not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// The fix for this system.
    Recommended,
    /// Works as well, or for a system that was not named.
    Alternative,
    /// Works around the failure.
    Fallback,
}

/// One way to repair a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    pub id: &'static str,
    pub grade: Grade,
    pub title: String,
    /// The system or origin it is for; absent when it is for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    pub commands: Vec<String>,
    pub needs_root: bool,
    pub needs_network: bool,
}

/// One thing to run to see that the repair worked.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    pub text: String,
    pub commands: Vec<String>,
}

/// What a verification ran and what it printed.
#[derive(Debug, Clone, Serialize)]
pub struct VerificationResult {
    pub id: &'static str,
    pub text: String,
    pub ran: String,
    pub passed: bool,
    pub skipped: bool,
    pub printed: String,
    pub milliseconds: u64,
}

/// One step of a repair.
#[derive(Debug, Clone, Serialize)]
pub struct RepairResult {
    pub command: String,
    pub state: RepairState,
    /// What a step that failed printed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub printed: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepairState {
    Planned,
    Done,
    Failed,
    /// Not run, because a step before it failed.
    Skipped,
}

impl Report {
    /// Rewrites every text that can hold something of the machine's.
    pub fn rewrite_texts(&mut self, rewrite: &dyn Fn(&str) -> String) {
        let apply = |text: &mut String| *text = rewrite(text);
        for finding in &mut self.findings {
            apply(&mut finding.cause);
            finding.evidence.iter_mut().for_each(|e| apply(&mut e.text));
            finding.notes.iter_mut().for_each(|n| apply(&mut n.text));
            for fix in finding.fixes.iter_mut().chain(&mut finding.without) {
                fix.commands.iter_mut().for_each(apply);
            }
        }
        for (_, value) in &mut self.inventory_lines {
            apply(value);
        }
        for result in &mut self.verification {
            apply(&mut result.ran);
            apply(&mut result.printed);
        }
        self.problems.iter_mut().for_each(|p| apply(&mut p.text));
        if let Some(inventory) = &mut self.inventory {
            rewrite_strings(inventory, rewrite);
        }
    }
}

fn rewrite_strings(value: &mut serde_json::Value, rewrite: &dyn Fn(&str) -> String) {
    use serde_json::Value;
    match value {
        Value::String(text) => *text = rewrite(text),
        Value::Array(items) => items.iter_mut().for_each(|i| rewrite_strings(i, rewrite)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|i| rewrite_strings(i, rewrite)),
        _ => {}
    }
}
