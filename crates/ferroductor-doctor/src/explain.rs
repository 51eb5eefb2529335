//! From a log to a report: runs the rules, orders the findings, and puts them
//! into the reader's language.
//!
//! What must hold: a finding that another explains is never shown as a root;
//! a possible finding is dropped when a sure one exists; without a finding the
//! report says so and shows the lines worth reading.

use crate::case::{Case, Hit};
use crate::context::Actor;
use crate::diagnosis::{
    CommandParts, EvidenceLine, Facts, Finding, FlagPart, Mode, Note, Outcome, Report, Role,
    SCHEMA, Tool,
};
use crate::facts;
use crate::fixes;
use crate::i18n::{Catalog, Language};
use crate::kind::Kind;
use crate::platform::SystemGuess;
use crate::rules::{self, Confidence, Verdict};
use crate::signal::Signal;
use ferroductor_toolchain::{CompileCommand, FlagRole, System};
use std::io::{self, BufRead};
use std::path::Path;

/// How a log is to be explained.
pub struct Options<'a> {
    pub language: Language,
    /// What the user states of the system, on top of what the log says.
    pub system: Option<SystemGuess>,
    /// The machine the log comes from, when it is this one.
    pub machine: Option<&'a dyn System>,
}

/// Explains a log.
pub fn explain(reader: impl BufRead, options: &Options<'_>) -> io::Result<Report> {
    let case = Case::read(reader)?;
    Ok(report(&case, options))
}

/// Explains a log that was read.
pub fn report(case: &Case, options: &Options<'_>) -> Report {
    let catalog = Catalog::new(options.language);
    let system = merged_system(case, options.system.as_ref());
    let ordered = order(rules::judge_all(case));
    let writer = Writer {
        case,
        catalog: &catalog,
        system: &system,
        machine: options.machine,
    };
    let findings: Vec<Finding> = ordered.iter().map(|o| writer.finding(o)).collect();
    let not_toolchain = writer.other_failures();
    let sure = findings.iter().any(|f| f.confidence > Confidence::Low);
    let outcome = if sure {
        Outcome::Findings
    } else {
        Outcome::CouldNotTell
    };
    Report {
        schema: SCHEMA,
        tool: Tool::default(),
        mode: Mode::Explain,
        language: options.language.tag(),
        outcome,
        facts: Facts {
            lines: case.size.lines,
            bytes: case.size.bytes,
            python: writer.python(None),
            torch: case.context.torch_version.clone(),
            torch_dir: case.context.torch_dir.clone(),
            system: system.clone(),
        },
        relevant_lines: if sure {
            Vec::new()
        } else {
            relevant_lines(case)
        },
        findings,
        not_toolchain,
        inventory: None,
        inventory_lines: Vec::new(),
        verification: Vec::new(),
        problems: Vec::new(),
        repairs: Vec::new(),
    }
}

/// The findings for verdicts that do not come from a log.
pub fn findings_of(
    case: &Case,
    ordered: &[Ordered],
    options: &Options<'_>,
    catalog: &Catalog,
) -> Vec<Finding> {
    let system = merged_system(case, options.system.as_ref());
    let writer = Writer {
        case,
        catalog,
        system: &system,
        machine: options.machine,
    };
    ordered.iter().map(|o| writer.finding(o)).collect()
}

fn merged_system(case: &Case, stated: Option<&SystemGuess>) -> SystemGuess {
    let read = case.context.system();
    let Some(stated) = stated else { return read };
    SystemGuess {
        family: stated.family.or(read.family),
        version: if stated.family.is_some() {
            stated.version.clone()
        } else {
            read.version
        },
        origin: stated.origin.or(read.origin),
        arch: stated.arch.clone().or(read.arch),
        python: stated.python.clone().or(read.python),
        python_exact: stated.python_exact.clone(),
        container: stated.container || read.container,
        wsl: stated.wsl || read.wsl,
        root: stated.root.or(read.root),
        vcvars: stated.vcvars.clone(),
        stated: stated.stated,
    }
}

/// A verdict with its place among the others.
pub struct Ordered {
    pub verdict: Verdict,
    pub caused_by: Vec<Kind>,
}

/// Roots before consequences, sure before possible, early stages before late ones.
pub fn order(mut verdicts: Vec<Verdict>) -> Vec<Ordered> {
    if verdicts.iter().any(|v| v.confidence > Confidence::Low) {
        verdicts.retain(|v| v.confidence > Confidence::Low);
    }
    let kinds: Vec<Kind> = verdicts.iter().map(|v| v.kind).collect();
    let mut ordered: Vec<Ordered> = verdicts
        .into_iter()
        .map(|verdict| {
            let caused_by = kinds
                .iter()
                .copied()
                .filter(|k| *k != verdict.kind && k.explains(verdict.kind))
                .collect();
            Ordered { verdict, caused_by }
        })
        .collect();
    ordered.sort_by_key(|o| {
        let first_line = o.verdict.evidence.first().map_or(u64::MAX, |h| h.line);
        let sureness = std::cmp::Reverse(o.verdict.confidence);
        (
            !o.caused_by.is_empty(),
            sureness,
            o.verdict.kind.stage(),
            first_line,
        )
    });
    ordered
}

fn relevant_lines(case: &Case) -> Vec<EvidenceLine> {
    let line = |(line, text): (u64, String)| EvidenceLine {
        line: Some(line),
        text,
        occurrences: 1,
    };
    case.relevant_lines().into_iter().map(line).collect()
}

/// Puts verdicts into words.
struct Writer<'a> {
    case: &'a Case,
    catalog: &'a Catalog,
    system: &'a SystemGuess,
    machine: Option<&'a dyn System>,
}

impl Writer<'_> {
    fn finding(&self, ordered: &Ordered) -> Finding {
        let verdict = &ordered.verdict;
        let kind = verdict.kind;
        let hit = verdict.evidence.first();
        let command = hit
            .and_then(|h| self.case.command_at(h.line))
            .filter(|_| shows_command(kind));
        let actor = hit
            .and_then(|h| self.case.actor_at(h))
            .or_else(|| usual_actor(kind));
        let python = self.python(command.map(|(_, c)| c));
        let mut system = self.system.clone();
        system.python = python.clone();
        let subject = verdict
            .subject
            .clone()
            .unwrap_or_else(|| default_subject(kind).to_owned());
        let detail = verdict.detail.clone().unwrap_or_else(|| "?".to_owned());
        let newest = python
            .as_deref()
            .and_then(facts::first_torch_compiling_on)
            .unwrap_or_else(|| "2.15".to_owned());
        let shown_python = python.as_deref().unwrap_or("3");
        let arguments: [(&'static str, &str); 5] = [
            ("python", shown_python),
            ("subject", &subject),
            ("detail", &detail),
            ("torch", &newest),
            ("checked", facts::CHECKED),
        ];
        let text = |part: &str| {
            self.catalog
                .format(&format!("{}-{part}", kind.slug()), &arguments)
        };
        let plan = fixes::plan(kind, &subject, &system, self.catalog);
        Finding {
            id: kind,
            confidence: verdict.confidence,
            role: if ordered.caused_by.is_empty() {
                Role::Root
            } else {
                Role::Consequence
            },
            caused_by: ordered.caused_by.clone(),
            cause: text("cause"),
            evidence: verdict.evidence.iter().map(|h| self.evidence(h)).collect(),
            actor: actor.map(|a| self.note(format!("actor-{}", a.id()), &[])),
            command: command.map(|(line, c)| self.command_parts(*line, c)),
            why: text("why"),
            notes: self.notes(verdict, actor, command.map(|(_, c)| c), shown_python),
            fix: text("fix"),
            fixes: plan.fixes,
            without: plan.without,
            verify: plan.verify,
            advice: self.advice(kind),
        }
    }

    /// The version the failing command compiles for, or the one stated or read.
    fn python(&self, command: Option<&CompileCommand>) -> Option<String> {
        let stated = self
            .system
            .python
            .clone()
            .filter(|_| self.system.stated && self.system.python.is_some());
        let from_any = || {
            self.case
                .commands
                .iter()
                .find_map(|(_, c)| c.python_version())
        };
        command
            .and_then(CompileCommand::python_version)
            .or_else(from_any)
            .or(stated)
            .or_else(|| self.system.python.clone())
    }

    fn note(&self, id: String, arguments: &[(&'static str, &str)]) -> Note {
        let text = self.catalog.format(&id, arguments);
        Note { id, text }
    }

    fn evidence(&self, hit: &Hit) -> EvidenceLine {
        EvidenceLine {
            line: Some(hit.line),
            text: hit.text.clone(),
            occurrences: self.case.occurrences(hit),
        }
    }

    fn command_parts(&self, line: u64, command: &CompileCommand) -> CommandParts {
        let flags = command.flags.iter().map(|flag| FlagPart {
            flag: flag.text.clone(),
            role: flag.role.id(),
            meaning: self.catalog.text(&format!("flag-{}", flag.role.id())),
            exists: self
                .machine
                .filter(|_| flag.expects_path())
                .and_then(|machine| {
                    flag.value
                        .as_deref()
                        .map(|path| machine.exists(Path::new(path)))
                }),
        });
        CommandParts {
            line,
            program: command.program.clone(),
            program_meaning: self.catalog.text("ui-program-meaning"),
            flags: flags.collect(),
        }
    }

    fn notes(
        &self,
        verdict: &Verdict,
        actor: Option<Actor>,
        command: Option<&CompileCommand>,
        python: &str,
    ) -> Vec<Note> {
        let kind = verdict.kind;
        let other_cause = other_cause(verdict, command).map(|id| self.note(id.to_owned(), &[]));
        let mut notes: Vec<Note> = other_cause.into_iter().collect();
        let python_headers = matches!(
            kind,
            Kind::PythonHTriton | Kind::PythonHInductorCpp | Kind::PythonHCppExtension
        );
        if python_headers {
            let who = actor.map_or("cpp-extension", Actor::id);
            notes.push(self.note(format!("note-python-api-{who}"), &[]));
        }
        if let Some(command) = command {
            self.notes_from_command(kind, command, python, &mut notes);
        }
        let inductor =
            actor == Some(Actor::InductorCpp) || self.case.has(Signal::CompileErrorRaised);
        if inductor {
            notes.push(self.note("note-exceptions".to_owned(), &[]));
            // A worker that died said nothing; there a trace may help.
            if kind != Kind::CompileSubprocessDied {
                notes.push(self.note("note-verbose".to_owned(), &[]));
            }
        }
        if python_headers {
            notes.push(self.note("note-reinstall-torch".to_owned(), &[("python", python)]));
            notes.push(self.note("note-persists".to_owned(), &[("python", python)]));
        }
        notes
    }

    fn notes_from_command(
        &self,
        kind: Kind,
        command: &CompileCommand,
        python: &str,
        notes: &mut Vec<Note>,
    ) {
        let headers = kind.stage() == crate::kind::Stage::Headers;
        let roles = [
            FlagRole::PythonHeaders,
            FlagRole::TorchHeaders,
            FlagRole::CudaHeaders,
            FlagRole::IncludeDir,
        ];
        let mut folders: Vec<&str> = Vec::new();
        for flag in command.flags.iter().filter(|f| roles.contains(&f.role)) {
            folders.extend(flag.value.as_deref().filter(|v| !folders.contains(v)));
        }
        if headers && !folders.is_empty() {
            notes.push(self.note(
                "note-searched".to_owned(),
                &[("folders", &folders.join(", "))],
            ));
        }
        if let Some(torch) = command
            .torch_dir()
            .or(self.case.context.torch_dir.as_deref())
        {
            let openmp = if command.has(FlagRole::OpenMp) {
                "note-openmp-on"
            } else {
                "note-openmp-off"
            };
            let openmp = self.catalog.text(openmp);
            let arguments = [
                ("python", python),
                ("folder", torch),
                ("openmp", openmp.as_str()),
            ];
            notes.push(self.note("note-read-from-command".to_owned(), &arguments));
        }
    }

    /// Popular advice seen in the log that misleads for this kind.
    fn advice(&self, kind: Kind) -> Vec<Note> {
        let python_headers = matches!(
            kind,
            Kind::PythonHTriton | Kind::PythonHInductorCpp | Kind::PythonHCppExtension
        );
        let table: [(Signal, &str, bool); 8] = [
            (
                Signal::PipPythonDevAdvice,
                "advice-pip-python-dev",
                python_headers,
            ),
            (
                Signal::ForeignHeadersAdvice,
                "advice-foreign-headers",
                python_headers,
            ),
            (Signal::SuppressErrorsAdvice, "advice-suppress-errors", true),
            (Signal::DisableCompileAdvice, "advice-disable-compile", true),
            (Signal::CppWrapperAdvice, "advice-cpp-wrapper", true),
            (
                Signal::DuplicateOpenMpAdvice,
                "advice-duplicate-openmp",
                kind == Kind::LibompLoadedTwiceMacos,
            ),
            (
                Signal::DowngradePythonAdvice,
                "advice-downgrade-python",
                kind == Kind::PythonVersionUnsupported,
            ),
            (
                Signal::AllowUnsupportedCompilerAdvice,
                "advice-allow-unsupported",
                kind == Kind::NvccRejectsGcc,
            ),
        ];
        let always_said = kind == Kind::PythonVersionUnsupported;
        let mut notes = Vec::new();
        for (signal, id, fits) in table {
            let seen =
                self.case.has(signal) || (always_said && signal == Signal::DowngradePythonAdvice);
            if fits && seen {
                notes.push(self.note(id.to_owned(), &[]));
            }
        }
        notes
    }

    /// Failures the log shows that no toolchain repair would touch.
    fn other_failures(&self) -> Vec<Note> {
        const TABLE: &[(Signal, &str)] = &[
            (Signal::CudaOutOfMemory, "other-cuda-out-of-memory"),
            (Signal::ShapeMismatch, "other-shape-mismatch"),
            (Signal::DeviceMismatch, "other-device-mismatch"),
            (Signal::GraphBreak, "other-graph-break"),
            (Signal::Nccl, "other-nccl"),
            (Signal::DeviceAssert, "other-device-error"),
            (Signal::DownloadFailed, "other-download"),
            (Signal::UserCodeError, "other-source-error"),
            (Signal::GpuNotSupportedByTorch, "other-gpu-unsupported"),
            (Signal::PipConflict, "other-pip-conflict"),
            (Signal::TritonOutOfResources, "other-triton-resources"),
            (Signal::WindowsUnsupported, "other-windows-unsupported"),
            (Signal::FreeThreadedUnsupported, "other-free-threaded"),
        ];
        let seen = TABLE.iter().filter(|(signal, _)| self.case.has(*signal));
        let mut notes: Vec<Note> = seen
            .map(|(_, id)| self.note((*id).to_owned(), &[]))
            .collect();
        let mut architectures = self.case.all(Signal::NvccUnknownGpu);
        if let Some(hit) = architectures.find(|h| rules::dropped_by_toolkits(h)) {
            let arch = hit.get("arch").unwrap_or_default();
            notes.push(self.note("other-gpu-dropped".to_owned(), &[("arch", arch)]));
        }
        notes
    }
}

/// What else the same words may mean, where the log cannot tell the two apart.
fn other_cause(verdict: &Verdict, command: Option<&CompileCommand>) -> Option<&'static str> {
    let says = |words: &str| verdict.evidence.iter().any(|h| h.text.contains(words));
    let by_clang = || says("clang") || command.is_some_and(|c| c.program.contains("clang"));
    match verdict.kind {
        Kind::CompileSubprocessDied => Some("note-also-memory"),
        Kind::ArchFlagsOrCompilerCrash if says("no such instruction") => {
            Some("note-also-assembler")
        }
        Kind::LibcHeadersMissing if says("crt1.o") || says("crti.o") => {
            Some("note-also-half-installed")
        }
        Kind::LibgompMissing if by_clang() || says("mold:") || says("lld") => {
            Some("note-also-libomp")
        }
        _ => None,
    }
}

/// Kinds where the command helps to understand the failure.
fn shows_command(kind: Kind) -> bool {
    use crate::kind::Stage::{Compile, Headers, Link};
    matches!(kind.stage(), Headers | Compile | Link)
        || matches!(
            kind,
            Kind::HalfInstalledToolchain | Kind::NoSpaceLeft | Kind::MsvcEnvironmentNotLoaded
        )
}

/// Who is behind a kind when the log does not show it.
fn usual_actor(kind: Kind) -> Option<Actor> {
    match kind {
        Kind::NoCCompilerTriton
        | Kind::PythonHTriton
        | Kind::PtxasTooOld
        | Kind::LibcudaAssertion => Some(Actor::Triton),
        Kind::PythonHInductorCpp | Kind::NoCxxCompiler | Kind::OpensslProgramMissing => {
            Some(Actor::InductorCpp)
        }
        Kind::PythonHCppExtension
        | Kind::NinjaMissing
        | Kind::CudaHomeNotSet
        | Kind::CudaVersionMismatch => Some(Actor::CppExtension),
        _ => None,
    }
}

/// What a text says when the log does not name its subject.
fn default_subject(kind: Kind) -> &'static str {
    match kind {
        Kind::NoSpaceLeft
        | Kind::NoexecTmp
        | Kind::ReadOnlyFilesystem
        | Kind::CachePermissionDenied => "/tmp",
        Kind::UidWithoutPasswdEntry => "?",
        Kind::PythonVersionUnsupported => "3",
        _ => "…",
    }
}
