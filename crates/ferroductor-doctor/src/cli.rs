//! The command line: `explain` and `doctor`, in the wheel and on its own.
//!
//! What must hold: nothing here decides anything about a failure; the exit
//! code is that of the report, or [`EXIT_USAGE`].

use crate::diagnosis::{EXIT_USAGE, Report};
use crate::explain::{self, Options};
use crate::i18n::{Catalog, Language};
use crate::machine;
use crate::platform::SystemGuess;
use crate::render::{self, Format, Style};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ferroductor_toolchain::{RealSystem, System};
use std::ffi::OsString;
use std::io::{self, BufReader, IsTerminal, Write};
use std::path::PathBuf;

/// Explains and repairs broken C++ toolchains for PyTorch.
#[derive(Debug, Parser)]
#[command(name = "ferroductor-doctor", version, about)]
#[command(after_help = "Exit codes: 0 healthy, 1 findings, 2 wrong usage, 3 could not tell.")]
struct Cli {
    #[command(subcommand)]
    command: Option<Action>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Explains an error log, from a file or standard input.
    Explain(ExplainArgs),
    /// Examines this machine for an interpreter and its torch.
    Doctor(machine::DoctorArgs),
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// The log; `-` or nothing reads standard input.
    file: Option<PathBuf>,
    /// The system the log comes from, such as `ubuntu:24.04`, `fedora`, `conda`, `pyenv`, `docker`; several with commas.
    #[arg(long)]
    system: Option<String>,
    /// The Python version in question, when the log does not say.
    #[arg(long)]
    python: Option<String>,
    /// The log comes from this machine: say which paths do not exist here.
    #[arg(long)]
    here: bool,
}

#[derive(Debug, Args)]
struct OutputArgs {
    /// Language: en, fr, es or zh-CN; by default that of the locale.
    #[arg(long, global = true)]
    lang: Option<String>,
    /// Form of the output; by default `human`, with --ci `short`.
    #[arg(long, global = true, value_enum)]
    format: Option<Format>,
    /// Colour of the human form.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
    /// Width of the human form; by default that of the terminal.
    #[arg(long, global = true)]
    width: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

/// Runs the command line; the first argument is the program's name.
pub fn main<I, S>(args: I) -> i32
where
    I: IntoIterator<Item = S>,
    S: Into<OsString> + Clone,
{
    match Cli::try_parse_from(args) {
        Ok(cli) => run(&cli),
        Err(error) => {
            // Help and version are not errors; clap knows which stream they belong to.
            let code = error.exit_code();
            let _ = error.print();
            code
        }
    }
}

fn run(cli: &Cli) -> i32 {
    let preflight = matches!(&cli.command, Some(Action::Doctor(args)) if args.ci);
    let language = match language(&cli.output, preflight) {
        Ok(language) => language,
        Err(message) => return usage_error(&message),
    };
    let report = match &cli.command {
        Some(Action::Explain(args)) => explain_command(args, language),
        Some(Action::Doctor(args)) => Ok(machine::doctor_command(args, language)),
        None => Ok(machine::doctor_command(
            &machine::DoctorArgs::default(),
            language,
        )),
    };
    match report {
        Ok(report) => {
            for format in formats(&cli.output, preflight) {
                print(&report, format, &cli.output, language);
            }
            report.outcome.exit_code()
        }
        Err(message) => usage_error(&message),
    }
}

/// A preflight is short, and annotates where the pipeline reads annotations.
fn formats(output: &OutputArgs, preflight: bool) -> Vec<Format> {
    let on_github = RealSystem.env("GITHUB_ACTIONS").as_deref() == Some("true");
    match output.format {
        Some(format) => vec![format],
        None if preflight && on_github => vec![Format::Short, Format::Github],
        None if preflight => vec![Format::Short],
        None => vec![Format::Human],
    }
}

fn usage_error(message: &str) -> i32 {
    eprintln!("ferroductor-doctor: {message}");
    EXIT_USAGE
}

fn language(output: &OutputArgs, preflight: bool) -> Result<Language, String> {
    match &output.lang {
        Some(tag) => Language::from_tag(tag)
            .ok_or_else(|| format!("unknown language {tag}; known are en, fr, es, zh-CN")),
        // A pipeline compares lines; they must not depend on its locale.
        None if preflight => Ok(Language::English),
        None => Ok(Language::from_environment(|name| RealSystem.env(name))),
    }
}

fn explain_command(args: &ExplainArgs, language: Language) -> Result<Report, String> {
    let mut stated = SystemGuess::default();
    if let Some(system) = &args.system {
        stated
            .apply(system)
            .map_err(|word| format!("unknown system {word}"))?;
    }
    stated.python = args.python.clone();
    let machine: Option<&dyn System> = if args.here { Some(&RealSystem) } else { None };
    let options = Options {
        language,
        system: Some(stated),
        machine,
    };
    let result = match args.file.as_deref().filter(|f| f.as_os_str() != "-") {
        Some(path) => {
            let file = std::fs::File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
            explain::explain(BufReader::with_capacity(1 << 18, file), &options)
        }
        None => explain::explain(BufReader::with_capacity(1 << 18, io::stdin()), &options),
    };
    result.map_err(|e| format!("cannot read the log: {e}"))
}

fn print(report: &Report, format: Format, output: &OutputArgs, language: Language) {
    let catalog = Catalog::new(language);
    let style = Style {
        width: width(output),
        colour: colour(output),
    };
    let text = render::render(report, format, &catalog, style);
    // A closed pipe (`| head`) is the reader's choice, not a failure.
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

fn colour(output: &OutputArgs) -> bool {
    let set = |name: &str| RealSystem.env(name).is_some_and(|v| !v.is_empty());
    match output.color {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            io::stdout().is_terminal()
                && !set("NO_COLOR")
                && RealSystem.env("TERM").as_deref() != Some("dumb")
        }
    }
}

fn width(output: &OutputArgs) -> usize {
    output
        .width
        .or_else(|| RealSystem.env("COLUMNS").and_then(|c| c.parse().ok()))
        .or_else(terminal_width)
        .unwrap_or(100)
}

#[cfg(unix)]
fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

#[cfg(not(unix))]
fn terminal_width() -> Option<usize> {
    None
}
