//! The toolchain doctor: from an error log, or from the machine, to a verified
//! fix.
//!
//! What must hold: reading ([`log`], [`case`]), judging ([`rules`]), fixing
//! ([`fixes`]) and rendering ([`render`]) are separate and meet in plain data
//! ([`diagnosis`]); no input panics; `explain` touches nothing but the log it
//! is given.

pub mod case;
pub mod cli;
pub mod context;
pub mod diagnosis;
mod doubt;
pub mod explain;
pub mod facts;
pub mod fixes;
pub mod i18n;
pub mod kind;
pub mod log;
pub mod machine;
pub mod packages;
pub mod platform;
pub mod render;
mod resolved;
pub mod rules;
pub mod signal;
mod wrapped;

use explain::Options;
use ferroductor_toolchain::RealSystem;
use i18n::{Catalog, Language};
use render::{Format, Style};

/// Explains the text of an exception raised in this process, on this machine.
///
/// An unknown language or format falls back to English and human text: the
/// caller is handling an error already.
pub fn explain_text(text: &str, language: &str, format: &str) -> String {
    let language = match language {
        "" | "auto" => {
            Language::from_environment(|name| ferroductor_toolchain::System::env(&RealSystem, name))
        }
        tag => Language::from_tag(tag).unwrap_or(Language::English),
    };
    let format = Format::from_name(format).unwrap_or(Format::Human);
    let options = Options {
        language,
        system: None,
        machine: Some(&RealSystem),
    };
    match explain::explain(text.as_bytes(), &options) {
        Ok(report) => render::render(&report, format, &Catalog::new(language), Style::default()),
        Err(error) => error.to_string(),
    }
}
