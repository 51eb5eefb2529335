//! Annotations of GitHub workflows.
//!
//! What must hold: one command a line; text is escaped as the workflow
//! commands demand, so that a log cannot start a command of its own.

use crate::diagnosis::{Finding, Outcome, Report, Role};
use crate::i18n::Catalog;

pub fn render(report: &Report, catalog: &Catalog) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&annotation(finding, catalog));
    }
    for result in report
        .verification
        .iter()
        .filter(|r| !r.passed && !r.skipped)
    {
        let message = format!("{}: {}\n{}", result.text, result.ran, result.printed);
        text.push_str(&command("error", result.id, &message));
    }
    for problem in &report.problems {
        text.push_str(&command("error", &problem.id, &problem.text));
    }
    match report.outcome {
        Outcome::Healthy => text.push_str(&command(
            "notice",
            "ferroductor-doctor",
            &catalog.text("ui-healthy"),
        )),
        Outcome::CouldNotTell => {
            let mut message = catalog.text("ui-nothing");
            for line in &report.relevant_lines {
                message.push_str(&format!(
                    "\n{}: {}",
                    line.line.unwrap_or_default(),
                    line.text
                ));
            }
            text.push_str(&command("warning", "ferroductor-doctor", &message));
        }
        Outcome::Findings => {}
    }
    text
}

fn annotation(finding: &Finding, catalog: &Catalog) -> String {
    let level = if finding.role == Role::Root {
        "error"
    } else {
        "warning"
    };
    let mut message = finding.cause.clone();
    if let Some(evidence) = finding.evidence.first() {
        message.push_str(&format!("\n{}", evidence.text));
    }
    message.push_str(&format!("\n{}: {}", catalog.text("ui-fix"), finding.fix));
    for line in finding
        .fixes
        .first()
        .map(|f| f.commands.as_slice())
        .unwrap_or_default()
    {
        message.push_str(&format!("\n{line}"));
    }
    command(level, finding.id.slug(), &message)
}

fn command(level: &str, title: &str, message: &str) -> String {
    let data = message
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    let title = title.replace('%', "%25").replace([':', ','], " ");
    format!("::{level} title={title}::{data}\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_log_cannot_start_a_command() {
        let text = super::command("error", "x", "a\n::set-output name=y::z");
        assert_eq!(text.lines().count(), 1);
    }
}
