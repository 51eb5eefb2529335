//! Every kind against captured and real logs, every near miss, and the same
//! logs as people paste them: coloured, prefixed, cut, interleaved, re-encoded.

use ferroductor_doctor::diagnosis::{Outcome, Report, Role};
use ferroductor_doctor::explain::{self, Options};
use ferroductor_doctor::i18n::Language;
use ferroductor_doctor::kind::Kind;
use ferroductor_doctor::platform::{Family, SystemGuess};
use ferroductor_doctor::rules::Confidence;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs")
}

fn logs(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = fs::read_dir(dir)
        .expect("the folder of logs")
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "log"))
        .map(|p| {
            (
                p.file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned(),
                fs::read(&p).expect("a log"),
            )
        })
        .collect();
    found.sort();
    found
}

/// The kind a log's name says: `02-python-h-inductor-cpp__reference`.
fn expected(name: &str) -> Kind {
    let slug = name
        .split("__")
        .next()
        .and_then(|s| s.split_once('-'))
        .expect("number and slug")
        .1;
    Kind::from_slug(slug).unwrap_or_else(|| panic!("{name} names no kind"))
}

fn explain_bytes(bytes: &[u8], language: Language) -> Report {
    let options = Options {
        language,
        system: None,
        machine: None,
    };
    explain::explain(bytes, &options).expect("reading from memory")
}

fn root(report: &Report) -> Option<Kind> {
    report
        .findings
        .first()
        .filter(|f| f.role == Role::Root)
        .map(|f| f.id)
}

#[test]
fn every_log_is_explained_by_its_kind() {
    for (name, bytes) in logs(&folder()) {
        let report = explain_bytes(&bytes, Language::English);
        assert_eq!(root(&report), Some(expected(&name)), "{name}");
        assert_eq!(report.outcome, Outcome::Findings, "{name}");
        let finding = &report.findings[0];
        assert!(
            !finding.evidence.is_empty() && finding.evidence[0].line.is_some(),
            "{name}"
        );
        assert!(
            !finding.fixes.is_empty() && !finding.verify.is_empty(),
            "{name}"
        );
    }
}

#[test]
fn every_kind_has_a_log() {
    let seen: BTreeSet<Kind> = logs(&folder())
        .iter()
        .map(|(name, _)| expected(name))
        .collect();
    let missing: Vec<_> = Kind::ALL.iter().filter(|k| !seen.contains(k)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn near_misses_are_not_diagnosed() {
    for (name, bytes) in logs(&folder().join("negative")) {
        let report = explain_bytes(&bytes, Language::English);
        let sure: Vec<_> = report
            .findings
            .iter()
            .filter(|f| f.confidence > Confidence::Low)
            .map(|f| f.id)
            .collect();
        assert!(sure.is_empty(), "{name}: {sure:?}");
        assert_eq!(report.outcome, Outcome::CouldNotTell, "{name}");
    }
}

/// A log of `collected/expected.tsv`: kinds that may be the root (none: nothing
/// is to be diagnosed), and the system where it is known.
struct Collected {
    name: String,
    kinds: Vec<Kind>,
    system: Option<String>,
}

fn collected() -> Vec<Collected> {
    let table = fs::read_to_string(folder().join("collected/expected.tsv")).expect("the table");
    let row = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let kind = |slug| Kind::from_slug(slug).unwrap_or_else(|| panic!("{line}"));
        let kinds = columns[1].split(',').filter(|s| *s != "none");
        Collected {
            name: columns[0].to_owned(),
            kinds: kinds.map(kind).collect(),
            system: Some(columns[2].to_owned()).filter(|s| s != "-"),
        }
    };
    table.lines().skip(1).map(row).collect()
}

/// Logs written and collected without knowledge of the rules. Abstentions are
/// listed here; a wrong diagnosis never is.
const ABSTAINED: &[&str] = &["605-py313-old-torch", "631-py36-torch"];

#[test]
fn collected_logs_are_diagnosed() {
    let all = logs(&folder().join("collected"));
    let expected = collected();
    assert_eq!(all.len(), expected.len());
    let mut wrong = Vec::new();
    for ((name, bytes), row) in all.iter().zip(&expected) {
        assert_eq!(*name, row.name, "the table is in the order of names");
        let report = explain_bytes(bytes, Language::English);
        let sure = report
            .findings
            .iter()
            .find(|f| f.confidence > Confidence::Low);
        let right = match sure {
            Some(finding) => finding.role == Role::Root && row.kinds.contains(&finding.id),
            None => row.kinds.is_empty() || ABSTAINED.contains(&name.as_str()),
        };
        if !right {
            wrong.push(format!("{name}: {:?}", sure.map(|f| f.id)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// On a stated system packages are those of its own manager, and come first.
#[test]
fn collected_logs_get_the_packages_of_their_system() {
    let managers = [
        (Family::Ubuntu, "apt-get"),
        (Family::Debian, "apt-get"),
        (Family::Fedora, "dnf"),
        (Family::Rhel, "dnf"),
        (Family::OpenSuse, "zypper"),
        (Family::Arch, "pacman"),
        (Family::Alpine, "apk"),
    ];
    let mut checked = 0;
    for ((name, bytes), row) in logs(&folder().join("collected")).iter().zip(&collected()) {
        let Some(stated) = &row.system else { continue };
        let mut system = SystemGuess::default();
        system
            .apply(stated)
            .unwrap_or_else(|w| panic!("{name}: {w}"));
        let manager = managers.iter().find(|(f, _)| system.family == Some(*f));
        let options = Options {
            language: Language::English,
            system: Some(system),
            machine: None,
        };
        let report = explain::explain(bytes.as_slice(), &options).expect("reading from memory");
        let packages = report.findings.iter().flat_map(|f| &f.fixes);
        for fix in packages.filter(|f| f.id == "fix-install-packages") {
            let Some((_, manager)) = manager else {
                continue;
            };
            assert!(
                fix.commands[0].contains(manager),
                "{name} on {stated}: {fix:?}"
            );
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

type Variant = fn(&str) -> Vec<u8>;

fn every_line(text: &str, change: impl Fn(&str) -> String) -> Vec<u8> {
    let lines = text.lines().map(|l| change(l) + "\n");
    lines.collect::<String>().into_bytes()
}

fn broken_at(width: usize, text: &str) -> Vec<u8> {
    every_line(text, |line| {
        let letters: Vec<char> = line.chars().collect();
        let pieces = letters.chunks(width).map(String::from_iter);
        pieces.collect::<Vec<String>>().join("\n")
    })
}

fn broken_at_spaces(width: usize, text: &str) -> Vec<u8> {
    every_line(text, |line| {
        let mut broken = String::new();
        let mut column = 0;
        for word in line.split(' ') {
            if column > 0 && column + 1 + word.chars().count() > width {
                broken.push('\n');
                column = 0;
            } else if column > 0 {
                broken.push(' ');
                column += 1;
            }
            broken.push_str(word);
            column += word.chars().count();
        }
        broken
    })
}

const VARIANTS: &[(&str, Variant)] = &[
    ("coloured", |t| {
        t.lines()
            .map(|l| format!("\u{1b}[1;31m{l}\u{1b}[0m\n"))
            .collect::<String>()
            .into_bytes()
    }),
    ("windows line ends", |t| {
        t.replace('\n', "\r\n").into_bytes()
    }),
    ("utf-16", |t| {
        t.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }),
    ("timestamps", |t| {
        t.lines()
            .map(|l| format!("2026-11-20T08:46:01.123456Z {l}\n"))
            .collect::<String>()
            .into_bytes()
    }),
    ("rank prefix", |t| {
        t.lines()
            .map(|l| format!("[rank0]: {l}\n"))
            .collect::<String>()
            .into_bytes()
    }),
    ("docker build", |t| {
        t.lines()
            .map(|l| format!("#12 34.56 {l}\n"))
            .collect::<String>()
            .into_bytes()
    }),
    ("log level", |t| {
        t.lines()
            .map(|l| format!("ERROR 04-22 21:41:28 [worker_base.py:598] {l}\n"))
            .collect::<String>()
            .into_bytes()
    }),
    ("quoted", |t| {
        t.lines()
            .map(|l| format!("> {l}\n"))
            .collect::<String>()
            .into_bytes()
    }),
    ("in the middle", |t| {
        format!(
            "{}{t}{}",
            "epoch 1 loss 0.5\n".repeat(300),
            "cleaning up\n".repeat(300)
        )
        .into_bytes()
    }),
    ("interleaved", |t| {
        t.lines()
            .map(|l| format!("{l}\n[INFO] step finished in 0.1 s\n"))
            .collect::<String>()
            .into_bytes()
    }),
    ("latin-1 bytes", |t| {
        [t.as_bytes(), b"\xe9\xff broken bytes\n"].concat()
    }),
    ("twice", |t| format!("{t}\n{t}").into_bytes()),
    ("python repr", |t| {
        format!("RuntimeError({:?})\n", t).into_bytes()
    }),
    ("without head", |t| {
        let lines: Vec<&str> = t.lines().collect();
        lines[lines.len() / 6..].join("\n").into_bytes()
    }),
    ("terminal of 80 columns", |t| broken_at(80, t)),
    ("terminal of 100 columns", |t| broken_at(100, t)),
    ("web page of 80 columns", |t| broken_at_spaces(80, t)),
    ("github actions", |t| {
        every_line(t, |l| format!("2025-03-04T09:12:01.0000007Z {l}"))
    }),
    ("gitlab", |t| {
        every_line(t, |l| format!("2025-03-04T09:12:01.123456Z 01O {l}"))
    }),
    ("jenkins", |t| {
        every_line(t, |l| format!("[2025-03-04T09:12:01.123Z] {l}"))
    }),
    ("buildkite", |t| {
        every_line(t, |l| format!("\u{1b}_bk;t=1700000000000\u{7}{l}\r"))
    }),
    ("docker compose", |t| {
        every_line(t, |l| format!("train-1  | {l}"))
    }),
    ("kubectl", |t| {
        every_line(t, |l| format!("[pod/train-0/worker] {l}"))
    }),
    ("journal", |t| {
        every_line(t, |l| format!("Nov 20 08:46:01 host python[1234]: {l}"))
    }),
    ("slurm", |t| every_line(t, |l| format!("3: {l}"))),
    ("in a box", |t| every_line(t, |l| format!("│ {l}"))),
    ("colours of gcc", |t| {
        every_line(t, |l| {
            let at = l.char_indices().nth(10).map_or(l.len(), |(at, _)| at);
            let (head, tail) = l.split_at(at);
            format!(
                "\u{1b}[01m\u{1b}[K{head}\u{1b}[m\u{1b}[K\u{1b}[01;31m\u{1b}[K{tail}\u{1b}[m\u{1b}[K"
            )
        })
    }),
    ("json of docker", |t| {
        every_line(t, |l| {
            serde_json::json!({ "log": format!("{l}\n"), "stream": "stderr" }).to_string()
        })
    }),
    ("json with levels", |t| {
        every_line(t, |l| {
            serde_json::json!({ "level": "error", "message": l, "pod": "a" }).to_string()
        })
    }),
    ("notebook file", |t| {
        every_line(t, |l| {
            let text = serde_json::to_string(&format!("{l}\n")).expect("a string");
            format!("      {text},")
        })
    }),
    ("windows-1252", |t| {
        encoding_rs::WINDOWS_1252.encode(t).0.into_owned()
    }),
    ("question marks for quotes", |t| {
        t.replace(['‘', '’', '“', '”'], "?").into_bytes()
    }),
    ("among other processes", |t| {
        every_line(t, |l| {
            format!(
                "[rank2]: epoch 3 step {} loss 0.71\n{l}\nINFO:     \"GET /health HTTP/1.1\" 200 OK",
                l.len()
            )
        })
    }),
];

/// Mess may hide a cause; it must hardly ever, and it must not name another.
#[test]
fn mess_does_not_change_the_diagnosis() {
    let mut wrong = Vec::new();
    let mut confident = Vec::new();
    let mut total = 0;
    for (name, bytes) in logs(&folder()) {
        let text = String::from_utf8_lossy(&bytes);
        for (variant, change) in VARIANTS {
            total += 1;
            let report = explain_bytes(&change(&text), Language::English);
            let found = root(&report);
            if found == Some(expected(&name)) {
                continue;
            }
            let sure = report.findings.first().map(|f| f.confidence);
            wrong.push(format!("{name}, {variant}: {found:?} {sure:?}"));
            let misled = found.is_some_and(|f| !related(f, expected(&name)));
            if misled && sure == Some(Confidence::High) {
                confident.push(format!("{name}, {variant}: {found:?}"));
            }
        }
    }
    println!(
        "{} of {total} variants wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(confident.is_empty(), "{}", confident.join("\n"));
    let allowed = total / 100;
    assert!(
        wrong.len() <= allowed,
        "{} of {total}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn mess_does_not_make_a_failure_of_another_one() {
    for (name, bytes) in logs(&folder().join("negative")) {
        let text = String::from_utf8_lossy(&bytes);
        for (variant, change) in VARIANTS {
            let report = explain_bytes(&change(&text), Language::English);
            let sure = report
                .findings
                .iter()
                .find(|f| f.confidence > Confidence::Low);
            assert!(
                sure.is_none(),
                "{name}, {variant}: {:?}",
                sure.map(|f| f.id)
            );
        }
    }
}

/// Cut anywhere, a log may lose its cause, but must not be given another.
#[test]
fn a_cut_log_is_never_given_a_wrong_cause() {
    let mut wrong = Vec::new();
    for (name, bytes) in logs(&folder()) {
        for part in 1..12 {
            let end = bytes.len() * part / 12;
            for piece in [&bytes[..end], &bytes[end..]] {
                let report = explain_bytes(piece, Language::English);
                let sure = report
                    .findings
                    .iter()
                    .find(|f| f.confidence == Confidence::High && f.role == Role::Root);
                if let Some(finding) =
                    sure.filter(|f| f.id != expected(&name) && !related(f.id, expected(&name)))
                {
                    wrong.push(format!("{name}, {part}/12: {}", finding.id.slug()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Kinds that a missing part of the log cannot tell apart, and whose repair is the same.
fn related(found: Kind, truth: Kind) -> bool {
    use Kind::*;
    let groups: [&[Kind]; 5] = [
        &[PythonHTriton, PythonHInductorCpp, PythonHCppExtension],
        &[OmpHLinux, OmpMacos],
        &[CannotFindLcuda, CondaCompilerClash],
        &[PathWithSpaces, CannotFindLtorch],
        &[GlibcTooOld, CondaCompilerClash],
    ];
    groups
        .iter()
        .any(|g| g.contains(&found) && g.contains(&truth))
}

#[test]
fn a_log_with_several_failures_shows_them_in_order_of_dependency() {
    let text = "KeyError: 'getpwuid(): uid not found: 12345'\n  File \"/v/torch/_inductor/runtime/cache_dir_utils.py\", line 2\n\
                OSError: [Errno 30] Read-only file system: '/.triton/cache'\n\
                RuntimeError: Failed to find C compiler. Please specify via CC environment variable.\n\
                /v/lib/python3.11/site-packages/triton/backends/nvidia/driver.c:9:10: fatal error: Python.h: No such file or directory\n";
    let report = explain_bytes(text.as_bytes(), Language::English);
    let kinds: Vec<Kind> = report.findings.iter().map(|f| f.id).collect();
    assert_eq!(
        kinds,
        [
            Kind::UidWithoutPasswdEntry,
            Kind::ReadOnlyFilesystem,
            Kind::NoCCompilerTriton,
            Kind::PythonHTriton
        ]
    );
}

#[test]
fn a_consequence_is_not_a_root() {
    let text = "c++: fatal error: Killed signal terminated program cc1plus\n\
                RuntimeError: A compilation subprocess exited unexpectedly. This is likely due to a crash.\n";
    let report = explain_bytes(text.as_bytes(), Language::English);
    assert_eq!(root(&report), Some(Kind::CompilerKilledOom));
    assert_eq!(report.findings[1].role, Role::Consequence);
    assert_eq!(report.findings[1].caused_by, [Kind::CompilerKilledOom]);
}
