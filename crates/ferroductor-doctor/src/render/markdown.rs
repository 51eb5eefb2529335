//! Markdown to paste into an issue.
//!
//! What must hold: text from a log stands in code, so that it cannot become
//! markup.

use super::grouped;
use super::human::confidence_id;
use crate::diagnosis::{EvidenceLine, Finding, Fix, Outcome, Report, Role};
use crate::i18n::Catalog;
use std::fmt::Write;

pub fn render(report: &Report, catalog: &Catalog) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        write_finding(&mut text, finding, catalog);
    }
    if !report.inventory_lines.is_empty() {
        let _ = writeln!(text, "## {}\n", catalog.text("ui-inventory"));
        for (label, value) in &report.inventory_lines {
            let _ = writeln!(text, "- {label}: {}", code(value));
        }
        text.push('\n');
    }
    for result in &report.verification {
        let state = if result.skipped {
            "ui-skipped"
        } else if result.passed {
            "ui-passed"
        } else {
            "ui-failed"
        };
        let _ = writeln!(
            text,
            "- **{}** {}: {}",
            catalog.text(state),
            result.text,
            code(&result.ran)
        );
    }
    for note in report.problems.iter().chain(&report.not_toolchain) {
        let _ = writeln!(text, "- {}", note.text);
    }
    let conclusion = match report.outcome {
        Outcome::Healthy => Some("ui-healthy"),
        Outcome::CouldNotTell if report.findings.is_empty() => Some("ui-nothing"),
        Outcome::CouldNotTell => Some("ui-only-possible"),
        Outcome::Findings => None,
    };
    if let Some(id) = conclusion {
        let _ = writeln!(text, "{}\n", catalog.text(id));
    }
    if !report.relevant_lines.is_empty() {
        let _ = writeln!(text, "### {}\n", catalog.text("ui-relevant-lines"));
        write_lines(&mut text, &report.relevant_lines);
    }
    text
}

fn write_finding(text: &mut String, finding: &Finding, catalog: &Catalog) {
    let label = catalog.text(if finding.role == Role::Root {
        "ui-root-cause"
    } else {
        "ui-consequence"
    });
    let confidence = catalog.text(confidence_id(finding.confidence));
    let _ = writeln!(
        text,
        "## {label}: {}\n\n`{}`, {confidence}\n",
        finding.cause,
        finding.id.slug()
    );
    if !finding.evidence.is_empty() {
        let _ = writeln!(text, "### {}\n", catalog.text("ui-evidence"));
        write_lines(text, &finding.evidence);
    }
    if let Some(actor) = &finding.actor {
        let _ = writeln!(
            text,
            "### {}\n\n{}\n",
            catalog.text("ui-attempted"),
            actor.text
        );
    }
    if let Some(command) = &finding.command {
        let _ = writeln!(
            text,
            "### {}\n\n- {}: {}",
            catalog.text("ui-command"),
            code(&command.program),
            command.program_meaning
        );
        for (meaning, flags) in grouped(command) {
            let names: Vec<String> = flags.iter().map(|f| code(&f.flag)).collect();
            let _ = writeln!(text, "- {}: {meaning}", names.join(" "));
            for flag in flags.iter().filter(|f| f.exists == Some(false)) {
                let _ = writeln!(
                    text,
                    "  - **{}**",
                    catalog.format("ui-path-missing", &[("path", &flag.flag)])
                );
            }
        }
        text.push('\n');
    }
    let _ = writeln!(text, "### {}\n\n{}\n", catalog.text("ui-why"), finding.why);
    for note in &finding.notes {
        let _ = writeln!(text, "- {}", note.text);
    }
    let _ = writeln!(
        text,
        "\n### {}\n\n{}\n",
        catalog.text("ui-fix"),
        finding.fix
    );
    finding.fixes.iter().for_each(|fix| write_fix(text, fix));
    if !finding.without.is_empty() {
        let _ = writeln!(text, "### {}\n", catalog.text("ui-without"));
        finding.without.iter().for_each(|fix| write_fix(text, fix));
    }
    let _ = writeln!(text, "### {}\n", catalog.text("ui-verify"));
    for step in &finding.verify {
        let _ = writeln!(text, "- {}", step.text);
        write_commands(text, &step.commands);
    }
    if !finding.advice.is_empty() {
        let _ = writeln!(text, "\n### {}\n", catalog.text("ui-advice"));
        for note in &finding.advice {
            let _ = writeln!(text, "- {}", note.text);
        }
    }
    text.push('\n');
}

fn write_fix(text: &mut String, fix: &Fix) {
    let system = fix
        .system
        .as_ref()
        .map(|s| format!("**{s}**: "))
        .unwrap_or_default();
    let _ = writeln!(text, "- {system}{}", fix.title);
    write_commands(text, &fix.commands);
}

fn write_commands(text: &mut String, commands: &[String]) {
    if commands.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n  ```sh");
    for command in commands {
        let _ = writeln!(text, "  {command}");
    }
    let _ = writeln!(text, "  ```\n");
}

fn write_lines(text: &mut String, lines: &[EvidenceLine]) {
    let _ = writeln!(text, "```text");
    for line in lines {
        let number = line.line.map(|n| format!("{n}: ")).unwrap_or_default();
        let _ = writeln!(text, "{number}{}", line.text.replace("```", "'''"));
    }
    let _ = writeln!(text, "```\n");
}

/// Inline code that survives backticks in the text.
fn code(text: &str) -> String {
    if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}
