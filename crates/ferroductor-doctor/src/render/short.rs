//! A few lines for a pipeline's log.
//!
//! What must hold: each line begins with a word that never changes, so that
//! `grep` works: `examined`, `passed`, `failed`, `skipped`, `finding`, `fix`,
//! `problem`, `note`, `result`; the last line is always `result`.

use crate::diagnosis::{Finding, Outcome, Report, VerificationResult};

pub fn render(report: &Report) -> String {
    let mut lines = vec![examined(report)];
    for result in &report.verification {
        lines.extend(probe(result));
    }
    let known_system = report.facts.system.family.is_some();
    for finding in &report.findings {
        lines.extend(described(finding, known_system));
    }
    let problems = report.problems.iter();
    lines.extend(problems.map(|p| format!("problem {}: {}", p.id, p.text)));
    let notes = report.not_toolchain.iter();
    lines.extend(notes.map(|n| format!("note {}: {}", n.id, n.text)));
    lines.push(result(report));
    lines.join("\n") + "\n"
}

fn examined(report: &Report) -> String {
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    let system = &report.facts.system;
    let family = system.family.map_or("unknown", |f| f.id());
    format!(
        "examined {} {}: system {family} {}, python {}, torch {}",
        report.tool.name,
        report.tool.version,
        system.version.as_deref().unwrap_or("?"),
        known(&report.facts.python),
        known(&report.facts.torch),
    )
}

fn probe(result: &VerificationResult) -> Vec<String> {
    let state = match (result.passed, result.skipped) {
        (_, true) => "skipped",
        (true, _) => "passed",
        (false, _) => "failed",
    };
    let id = result.id;
    if state != "failed" {
        let said = result.printed.lines().next().unwrap_or_default();
        return vec![format!("{state} {id}: {said}")];
    }
    let telling = |l: &&str| l.contains("rror") || l.contains("annot");
    let mut printed = result.printed.lines();
    let said = printed
        .clone()
        .find(telling)
        .or_else(|| printed.next_back());
    vec![format!("failed {id}: {}", said.unwrap_or_default().trim())]
}

fn described(finding: &Finding, known_system: bool) -> Vec<String> {
    let confidence = match finding.confidence {
        crate::rules::Confidence::High => "high",
        crate::rules::Confidence::Medium => "medium",
        crate::rules::Confidence::Low => "low",
    };
    let mut lines = vec![format!(
        "finding {} ({confidence}): {}",
        finding.id.slug(),
        finding.cause
    )];
    if let Some(fix) = finding.fixes.first() {
        let id = finding.id.slug();
        // Which system a fix is for matters where the system is not known.
        let system = fix.system.as_ref().filter(|_| !known_system);
        let lead = match system {
            Some(system) => format!("fix {id} ({system})"),
            None => format!("fix {id}"),
        };
        lines.extend(fix.commands.iter().map(|c| format!("{lead}: {c}")));
    }
    lines
}

fn result(report: &Report) -> String {
    let outcome = match report.outcome {
        Outcome::Healthy => "healthy",
        Outcome::Findings => "findings",
        Outcome::CouldNotTell => "could-not-tell",
    };
    let failed = report
        .verification
        .iter()
        .filter(|r| !r.passed && !r.skipped);
    format!(
        "result {outcome}: {} findings, {} of {} probes failed, exit code {}",
        report.findings.len() + report.problems.len(),
        failed.count(),
        report.verification.len(),
        report.outcome.exit_code()
    )
}
