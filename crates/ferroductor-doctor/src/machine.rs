//! `doctor`: examines this machine, verifies, and repairs when asked.
//!
//! What must hold: every problem is found in one run, not the first one only;
//! every probe has a time limit and a failing probe is a result; nothing is
//! changed that was not announced.

pub mod checks;
pub mod folders;
pub mod inventory;
pub mod limits;
pub mod msvc;
pub mod overlay;
pub mod problems;
pub mod python;
pub mod repair;
pub mod secrets;
pub mod verify;

use crate::case::Case;
use crate::diagnosis::{
    EvidenceLine, Facts, Finding, Mode, Outcome, RepairResult, RepairState, Report, Role, SCHEMA,
    Tool,
};
use crate::explain::{self, Options};
use crate::i18n::{Catalog, Language};
use crate::kind::Kind;
use crate::rules::{Confidence, Verdict};
use checks::MachineFinding;
use ferroductor_toolchain::{RealSystem, System};
use inventory::Inventory;
use repair::{Action, Plan};
use secrets::Secrets;
use std::io::{self, BufRead, Write};
use std::path::Path;

/// What `doctor` is asked to do.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DoctorArgs {
    /// The interpreter in question; by default `python` or `python3` on PATH.
    #[arg(long)]
    pub python: Option<String>,
    /// Shows the plan of repairs, asks, applies it, and verifies.
    #[arg(long)]
    pub fix: bool,
    /// With `--fix`: applies the plan without asking.
    #[arg(long, requires = "fix")]
    pub yes: bool,
    /// With `--fix`: shows the plan only.
    #[arg(long, requires = "fix")]
    pub dry_run: bool,
    /// Preflight for a pipeline or Dockerfile: asks nothing, repairs nothing, a
    /// few stable lines in English unless --lang or --format say otherwise.
    #[arg(long, conflicts_with = "fix")]
    pub ci: bool,
    /// Leaves out the probes that compile and run something.
    #[arg(long)]
    pub quick: bool,
}

/// Runs `doctor` on this machine.
pub fn doctor_command(args: &DoctorArgs, language: Language) -> Report {
    let catalog = Catalog::new(language);
    let report = examine(&RealSystem, args, &catalog);
    if args.fix {
        repair_command(&RealSystem, args, report, &catalog)
    } else {
        report
    }
}

/// Plans, announces, asks, applies, and examines again with the variables that were set.
fn repair_command(
    system: &dyn System,
    args: &DoctorArgs,
    mut report: Report,
    catalog: &Catalog,
) -> Report {
    let plan = repair::plan(system, args.python.as_deref(), &report);
    announce(system, &plan, catalog);
    let agreed = !plan.steps.is_empty() && !args.dry_run && (args.yes || confirmed(catalog));
    if !agreed {
        eprintln!("{}", catalog.text("ui-not-applied"));
        report.repairs = planned(system, &plan);
        return report;
    }
    let applied = repair::apply(system, &plan, catalog);
    if !applied.is_complete() {
        eprintln!("{}", catalog.text("ui-repair-incomplete"));
    }
    let repaired = overlay::WithVariables::new(system, applied.variables);
    let mut after = examine(&repaired, args, catalog);
    after.repairs = applied.results;
    after
}

fn planned(system: &dyn System, plan: &Plan) -> Vec<RepairResult> {
    let secrets = Secrets::of(system);
    let steps = plan.steps.iter().map(|step| RepairResult {
        command: secrets.hide(&step.line(system.platform())),
        state: RepairState::Planned,
        printed: String::new(),
    });
    steps.collect()
}

fn announce(system: &dyn System, plan: &Plan, catalog: &Catalog) {
    let secrets = Secrets::of(system);
    if plan.steps.is_empty() {
        eprintln!("{}", catalog.text("ui-plan-empty"));
    } else {
        eprintln!("{}", catalog.text("ui-plan"));
    }
    for (index, step) in plan.steps.iter().enumerate() {
        let line = secrets
            .hide(&step.line(system.platform()))
            .replace('\n', "\n       ");
        eprintln!("  {}. [{}] {line}", index + 1, step.kind.slug());
        if let Action::WriteVariables(_, variables) = &step.action {
            for (name, value) in variables {
                eprintln!("       {}", secrets.hide(&repair::export_line(name, value)));
            }
        }
    }
    if !plan.by_hand.is_empty() {
        let kinds: Vec<&str> = plan.by_hand.iter().map(|k| k.slug()).collect();
        let text = catalog.format("ui-plan-by-hand", &[("kinds", &kinds.join(", "))]);
        eprintln!("{text}");
    }
}

fn confirmed(catalog: &Catalog) -> bool {
    eprint!("{} ", catalog.text("ui-ask"));
    // An unflushed question would be answered blindly.
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.is_ok()
        && matches!(
            answer.trim().to_lowercase().as_str(),
            "y" | "yes" | "o" | "oui" | "s" | "si" | "sí" | "是"
        )
}

/// Examines a machine: inventory, checks, and, unless `quick`, real probes.
pub fn examine(system: &dyn System, args: &DoctorArgs, catalog: &Catalog) -> Report {
    let inventory = Inventory::collect(system, args.python.as_deref());
    let mut found = checks::run_all(system, &inventory);
    let verification = if args.quick {
        Vec::new()
    } else {
        verify::run_all(system, &inventory, catalog)
    };
    for result in verification.iter().filter(|r| !r.passed && !r.skipped) {
        add_from_output(&mut found, &result.printed, &result.ran);
    }
    let findings = describe(system, &inventory, found, catalog);
    let unexplained = verification.iter().any(|r| !r.passed && !r.skipped);
    let problems = problems::find(system, &inventory, catalog);
    let outcome = if !findings.is_empty() || unexplained || !problems.is_empty() {
        Outcome::Findings
    } else if inventory.python.is_none() {
        Outcome::CouldNotTell
    } else {
        Outcome::Healthy
    };
    let python = inventory.python.as_ref();
    let mut report = Report {
        schema: SCHEMA,
        tool: Tool::default(),
        mode: Mode::Doctor,
        language: catalog.language.tag(),
        outcome,
        facts: Facts {
            lines: 0,
            bytes: 0,
            python: python.map(|p| p.version.clone()),
            torch: python.and_then(|p| p.torch.clone()),
            torch_dir: python.and_then(|p| p.torch_dir.clone()),
            system: inventory.system.clone(),
        },
        findings,
        not_toolchain: Vec::new(),
        relevant_lines: Vec::new(),
        inventory_lines: inventory.lines(catalog),
        inventory: serde_json::to_value(&inventory).ok(),
        verification,
        problems,
        repairs: Vec::new(),
    };
    let secrets = Secrets::of(system);
    report.rewrite_texts(&|text| secrets.hide(text));
    report
}

/// What a probe printed is a log like any other.
fn add_from_output(found: &mut Vec<MachineFinding>, printed: &str, ran: &str) {
    let log = format!("{}\n{ran}\n{printed}", checks::STANDS_FOR);
    let Ok(case) = Case::read(log.as_bytes()) else {
        return;
    };
    for verdict in crate::rules::judge_all(&case) {
        let known = found.iter().any(|f| same_matter(f.kind, verdict.kind));
        if verdict.confidence > Confidence::Low && !known {
            let evidence = verdict.evidence.iter().map(|h| h.text.clone()).collect();
            let subject = verdict.subject.unwrap_or_default();
            found.push(MachineFinding {
                kind: verdict.kind,
                confidence: verdict.confidence,
                subject,
                evidence,
            });
        }
    }
}

/// Kinds that one repair covers: a machine has one set of Python headers, one compiler.
fn same_matter(a: Kind, b: Kind) -> bool {
    use Kind::*;
    let groups: [&[Kind]; 3] = [
        &[PythonHTriton, PythonHInductorCpp, PythonHCppExtension],
        &[NoCxxCompiler, NoCCompilerTriton],
        &[OmpHLinux, OmpMacos, LibgompMissing],
    ];
    a == b || groups.iter().any(|g| g.contains(&a) && g.contains(&b))
}

/// Puts what the checks found into order and words, by way of the same writer as a log.
fn describe(
    system: &dyn System,
    inventory: &Inventory,
    found: Vec<MachineFinding>,
    catalog: &Catalog,
) -> Vec<Finding> {
    let evidence: Vec<(Kind, Vec<String>)> =
        found.iter().map(|f| (f.kind, f.evidence.clone())).collect();
    let verdicts = found
        .into_iter()
        .map(MachineFinding::into_verdict)
        .collect();
    let mut guess = inventory.system.clone();
    guess.stated = true;
    let options = Options {
        language: catalog.language,
        system: Some(guess),
        machine: Some(system),
    };
    let ordered = explain::order(verdicts);
    let mut findings = explain::findings_of(&Case::default(), &ordered, &options, catalog);
    for finding in &mut findings {
        let lines = evidence
            .iter()
            .filter(|(k, _)| *k == finding.id)
            .flat_map(|(_, lines)| lines.clone());
        finding.evidence = lines
            .map(|text| EvidenceLine {
                line: None,
                text,
                occurrences: 1,
            })
            .collect();
        finding.command = None;
        use_a_folder_that_exists(system, finding);
    }
    // In the order of dependency, whatever the sureness: this is one machine, not a
    // puzzle. Within a stage the checks stand in that order.
    let position = |kind: Kind| evidence.iter().position(|(k, _)| *k == kind);
    findings.sort_by_key(|f| (f.role == Role::Consequence, f.id.stage(), position(f.id)));
    findings
}

/// Caches move to the home by usual advice; where there is none, to a folder that was tried.
fn use_a_folder_that_exists(system: &dyn System, finding: &mut Finding) {
    const USUAL: &str = "$HOME/.cache";
    let fixes = || finding.fixes.iter().chain(&finding.without);
    if !fixes().any(|f| f.commands.iter().any(|c| c.contains(USUAL))) {
        return;
    }
    let home = system.env("HOME").filter(|h| !h.is_empty() && h != "/");
    let works = home.is_some_and(|h| folders::is_writable(system, Path::new(&h)));
    let Some(usable) = folders::find_usable(system).filter(|_| !works) else {
        return;
    };
    for fix in finding.fixes.iter_mut().chain(&mut finding.without) {
        for command in &mut fix.commands {
            *command = command.replace(USUAL, &usable.to_string_lossy());
        }
    }
}

impl MachineFinding {
    fn into_verdict(self) -> Verdict {
        Verdict {
            kind: self.kind,
            confidence: self.confidence,
            evidence: Vec::new(),
            subject: Some(self.subject).filter(|s| !s.is_empty()),
            detail: None,
        }
    }
}

#[cfg(test)]
mod tests;
