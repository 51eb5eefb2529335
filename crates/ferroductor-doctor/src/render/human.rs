//! Text for people: wrapped to the terminal, coloured when that is wanted.
//!
//! What must hold: no line is wider than asked unless it is one word, such as
//! a path, or a command to copy; without colour no escape is written.

use super::grouped;
use crate::diagnosis::{EvidenceLine, Finding, Fix, Note, Outcome, Report, Role, Step};
use crate::i18n::Catalog;
use crate::rules::Confidence;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How the text is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub width: usize,
    pub colour: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            width: 100,
            colour: false,
        }
    }
}

#[derive(Clone, Copy)]
enum Ink {
    Title,
    Heading,
    Bad,
    Good,
    Dim,
    Command,
}

struct Page<'a> {
    text: String,
    style: Style,
    catalog: &'a Catalog,
}

pub fn render(report: &Report, catalog: &Catalog, style: Style) -> String {
    let mut page = Page {
        text: String::new(),
        style: Style {
            width: style.width.clamp(40, 160),
            ..style
        },
        catalog,
    };
    page.inventory(report);
    let count = report.findings.len();
    for (index, finding) in report.findings.iter().enumerate() {
        page.finding(finding, index + 1, count);
    }
    page.verification(report);
    page.conclusion(report);
    page.text
}

impl Page<'_> {
    fn ink(&self, ink: Ink, text: &str) -> String {
        if !self.style.colour {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Title => "1",
            Ink::Heading => "1;36",
            Ink::Bad => "1;31",
            Ink::Good => "32",
            Ink::Dim => "2",
            Ink::Command => "33",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn heading(&mut self, id: &str) {
        let text = self.ink(Ink::Heading, &self.catalog.text(id));
        self.line("");
        self.line(&text);
    }

    /// Wrapped text below an indent; the first line may begin with a mark.
    fn paragraph(&mut self, mark: &str, text: &str) {
        let indent = "  ".to_owned() + &" ".repeat(mark.width());
        let mut first = true;
        for line in wrap(text, self.style.width.saturating_sub(indent.width())) {
            let lead = if first {
                format!("  {mark}")
            } else {
                indent.clone()
            };
            self.line(&format!("{lead}{line}"));
            first = false;
        }
    }

    fn commands(&mut self, commands: &[String]) {
        for command in commands {
            let text = self.ink(Ink::Command, command);
            self.line(&format!("      {text}"));
        }
    }

    fn finding(&mut self, finding: &Finding, number: usize, count: usize) {
        let mark = if count > 1 {
            format!("{number}/{count} ")
        } else {
            String::new()
        };
        if number > 1 {
            self.line("");
            let rule = self.ink(Ink::Dim, &"─".repeat(self.style.width.min(60)));
            self.line(&rule);
        }
        let confidence = self.catalog.text(confidence_id(finding.confidence));
        let label = self.catalog.text(if finding.role == Role::Root {
            "ui-root-cause"
        } else {
            "ui-consequence"
        });
        let head = format!(
            "{mark}{} [{}, {confidence}]",
            self.ink(Ink::Bad, &label),
            finding.id.slug()
        );
        self.line(&head);
        for line in wrap(&finding.cause, self.style.width.saturating_sub(2)) {
            let line = self.ink(Ink::Title, &line);
            self.line(&format!("  {line}"));
        }
        if !finding.caused_by.is_empty() {
            let causes: Vec<&str> = finding.caused_by.iter().map(|k| k.slug()).collect();
            let text = self
                .catalog
                .format("ui-caused-by", &[("causes", &causes.join(", "))]);
            self.paragraph("", &text);
        }
        self.evidence(&finding.evidence);
        self.attempted(finding);
        self.heading("ui-why");
        self.paragraph("", &finding.why);
        for note in &finding.notes {
            self.paragraph("• ", &note.text);
        }
        self.fixes(finding);
        self.steps(&finding.verify);
        self.notes("ui-advice", &finding.advice);
    }

    fn evidence(&mut self, lines: &[EvidenceLine]) {
        if lines.is_empty() {
            return;
        }
        self.heading("ui-evidence");
        for evidence in lines {
            let place = self.place(evidence);
            self.paragraph(&place, &evidence.text);
        }
    }

    fn place(&self, evidence: &EvidenceLine) -> String {
        let Some(line) = evidence.line else {
            return "> ".to_owned();
        };
        let line = line.to_string();
        let text = self.catalog.format("ui-line", &[("line", &line)]);
        if evidence.occurrences > 1 {
            format!("{text} (×{}): ", evidence.occurrences)
        } else {
            format!("{text}: ")
        }
    }

    fn attempted(&mut self, finding: &Finding) {
        if let Some(actor) = &finding.actor {
            self.heading("ui-attempted");
            self.paragraph("", &actor.text);
        }
        let Some(command) = &finding.command else {
            return;
        };
        self.heading("ui-command");
        self.paragraph(
            "",
            &format!("{}: {}", command.program, command.program_meaning),
        );
        for (meaning, flags) in grouped(command) {
            let names: Vec<&str> = flags.iter().map(|f| f.flag.as_str()).collect();
            self.paragraph("• ", &format!("{}: {meaning}", names.join(" ")));
            for flag in flags.iter().filter(|f| f.exists == Some(false)) {
                let text = self
                    .catalog
                    .format("ui-path-missing", &[("path", &flag.flag)]);
                let text = self.ink(Ink::Bad, &text);
                self.paragraph("    ", &text);
            }
        }
    }

    fn fixes(&mut self, finding: &Finding) {
        self.heading("ui-fix");
        self.paragraph("", &finding.fix);
        for fix in &finding.fixes {
            self.fix(fix);
        }
        if !finding.without.is_empty() {
            self.heading("ui-without");
            for fix in &finding.without {
                self.fix(fix);
            }
        }
    }

    fn fix(&mut self, fix: &Fix) {
        let system = fix
            .system
            .as_ref()
            .map(|s| format!("{s}: "))
            .unwrap_or_default();
        let root = if fix.needs_root {
            format!(" ({})", self.catalog.text("ui-needs-root"))
        } else {
            String::new()
        };
        self.paragraph("• ", &format!("{system}{}{root}", fix.title));
        self.commands(&fix.commands);
    }

    fn steps(&mut self, steps: &[Step]) {
        if steps.is_empty() {
            return;
        }
        self.heading("ui-verify");
        for step in steps {
            self.paragraph("• ", &step.text);
            self.commands(&step.commands);
        }
    }

    fn notes(&mut self, heading: &str, notes: &[Note]) {
        if notes.is_empty() {
            return;
        }
        self.heading(heading);
        for note in notes {
            self.paragraph("• ", &note.text);
        }
    }

    fn inventory(&mut self, report: &Report) {
        if report.inventory_lines.is_empty() {
            return;
        }
        let title = self.ink(Ink::Heading, &self.catalog.text("ui-inventory"));
        self.line(&title);
        let label_width = report
            .inventory_lines
            .iter()
            .map(|(l, _)| l.width())
            .max()
            .unwrap_or(0);
        for (label, value) in &report.inventory_lines {
            let pad = " ".repeat(label_width - label.width());
            self.paragraph(&format!("{label}{pad}  "), value);
        }
        self.line("");
    }

    fn verification(&mut self, report: &Report) {
        if report.verification.is_empty() {
            return;
        }
        self.heading("ui-verification");
        for result in &report.verification {
            let (ink, id) = match (result.passed, result.skipped) {
                (_, true) => (Ink::Dim, "ui-skipped"),
                (true, _) => (Ink::Good, "ui-passed"),
                (false, _) => (Ink::Bad, "ui-failed"),
            };
            let state = self.ink(ink, &self.catalog.text(id));
            self.line(&format!(
                "  {state}  {} ({} ms)",
                result.text, result.milliseconds
            ));
            let ran = self.ink(Ink::Dim, &result.ran);
            self.line(&format!("      {ran}"));
            for line in result.printed.lines().take(6) {
                self.line(&format!("      > {line}"));
            }
        }
    }

    fn conclusion(&mut self, report: &Report) {
        self.notes("ui-problems", &report.problems);
        self.notes("ui-not-toolchain", &report.not_toolchain);
        match report.outcome {
            Outcome::Healthy => {
                let text = self.ink(Ink::Good, &self.catalog.text("ui-healthy"));
                self.line(&text);
            }
            Outcome::CouldNotTell if report.findings.is_empty() => {
                let text = self.ink(Ink::Title, &self.catalog.text("ui-nothing"));
                self.line(&text);
            }
            Outcome::CouldNotTell => {
                let text = self.catalog.text("ui-only-possible");
                self.line("");
                self.line(&text);
            }
            Outcome::Findings => {}
        }
        if !report.relevant_lines.is_empty() {
            self.heading("ui-relevant-lines");
            for evidence in &report.relevant_lines {
                let place = self.place(evidence);
                self.paragraph(&place, &evidence.text);
            }
        }
    }
}

/// The message that names a confidence.
pub fn confidence_id(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "ui-confidence-high",
        Confidence::Medium => "ui-confidence-medium",
        Confidence::Low => "ui-confidence-low",
    }
}

/// Breaks text at spaces, and between wide characters, to a display width.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(20);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let gap = usize::from(!line.is_empty());
        if line.width() + gap + word.width() <= width {
            if gap == 1 {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        let wide = word.chars().any(|c| c.width().unwrap_or(0) == 2);
        if !line.is_empty() && !wide {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if wide
                && line.width() + c.width().unwrap_or(0) > width
                && !"，。；：、）！？”》".contains(c)
            {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_to_the_width() {
        let text = "one two three four five six seven eight nine ten eleven twelve thirteen";
        assert!(wrap(text, 24).iter().all(|l| l.width() <= 24));
        let chinese =
            "缺少与解释器版本完全一致的头文件，解释器本身是存在的，因此编译器无法继续工作。";
        assert!(wrap(chinese, 30).iter().all(|l| l.width() <= 32));
        assert_eq!(wrap(chinese, 30).concat(), chinese);
    }

    #[test]
    fn a_long_path_is_one_line() {
        let path = "/a".repeat(80);
        assert_eq!(wrap(&path, 40).concat(), path);
        assert_eq!(wrap(&path, 40).len(), 1);
    }
}
