//! Renderers: a report as text for people, a few lines for a pipeline, JSON,
//! Markdown, GitHub annotations.
//!
//! What must hold: a renderer reads only the report and the headings of its
//! language; it knows no check and no kind.

mod github;
mod human;
mod markdown;
mod short;

use crate::diagnosis::{CommandParts, FlagPart, Report};
use crate::i18n::Catalog;

pub use human::Style;

/// The forms of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Human,
    /// One line for each finding and probe; stable.
    Short,
    Json,
    Markdown,
    Github,
}

impl Format {
    pub fn from_name(name: &str) -> Option<Format> {
        Some(match name {
            "human" | "text" => Format::Human,
            "short" => Format::Short,
            "json" => Format::Json,
            "markdown" | "md" => Format::Markdown,
            "github" => Format::Github,
            _ => return None,
        })
    }
}

/// Renders a report.
pub fn render(report: &Report, format: Format, catalog: &Catalog, style: Style) -> String {
    match format {
        Format::Human => human::render(report, catalog, style),
        Format::Short => short::render(report),
        Format::Json => {
            serde_json::to_string_pretty(report)
                .unwrap_or_else(|e| format!("{{\"error\": \"{e}\"}}"))
                + "\n"
        }
        Format::Markdown => markdown::render(report, catalog),
        Format::Github => github::render(report, catalog),
    }
}

/// Flags with the same purpose, in the order in which the purposes appear.
fn grouped(command: &CommandParts) -> Vec<(String, Vec<&FlagPart>)> {
    let mut groups: Vec<(String, Vec<&FlagPart>)> = Vec::new();
    for flag in &command.flags {
        match groups
            .iter_mut()
            .find(|(meaning, _)| *meaning == flag.meaning)
        {
            Some((_, flags)) => flags.push(flag),
            None => groups.push((flag.meaning.clone(), vec![flag])),
        }
    }
    groups
}
