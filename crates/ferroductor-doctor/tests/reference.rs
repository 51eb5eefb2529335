//! The reference case, complete from `explain` alone, in all four languages.

use ferroductor_doctor::diagnosis::Report;
use ferroductor_doctor::explain::{self, Options};
use ferroductor_doctor::i18n::{Catalog, Language};
use ferroductor_doctor::platform::SystemGuess;
use ferroductor_doctor::render::{Format, Style, render};
use std::path::Path;

fn reference(language: Language, system: Option<&str>) -> Report {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/logs/02-python-h-inductor-cpp__reference.log");
    let log = std::fs::read(path).expect("the reference log");
    let system = system.map(|words| {
        let mut guess = SystemGuess::default();
        guess.apply(words).expect("a known system");
        guess
    });
    explain::explain(
        &log[..],
        &Options {
            language,
            system,
            machine: None,
        },
    )
    .expect("reading from memory")
}

/// What the answer must name, whatever the language.
const MUST_NAME: &[&str] = &[
    "Python 3.13",
    "python3.13-dev",
    "python3.13-devel",
    "python@3.13",
    "conda install -y -c conda-forge python=3.13",
    "deadsnakes",
    "pyenv install 3.13",
    "RUN apt-get update",
    "CPATH",
    "Python.h",
    "TorchInductor",
    "InductorError",
    "CppCompileError",
    "TORCHDYNAMO_VERBOSE=1",
    "TORCH_LOGS=\"+dynamo\"",
    "backend=\"ferroductor\"",
    "/usr/include/python3.13",
    "/home/ana/.local/lib/python3.13/site-packages/torch",
    "-fopenmp",
    "OpenMP",
    "-O3",
    "-mavx2",
    "-ltorch",
    "-shared",
    "-std=c++17",
    "sysconfig",
    "Debian",
    "Ubuntu",
    "Fedora",
    "macOS",
    "cxyve26btthvhcuhmj6fjdn6e6op2ypybj7jmfcjx275gxkffhg5.cpp:94:10: fatal error: Python.h: No such file or directory",
];

#[test]
fn it_is_complete_in_every_language() {
    for language in Language::ALL {
        let report = reference(*language, None);
        let catalog = Catalog::new(*language);
        for format in [Format::Human, Format::Markdown, Format::Json] {
            let text = render(
                &report,
                format,
                &catalog,
                Style {
                    width: 5000,
                    colour: false,
                },
            );
            let text = text.replace("\\\"", "\"");
            for name in MUST_NAME {
                assert!(
                    text.contains(name),
                    "{language:?}, {format:?}: lacks {name}\n{text}"
                );
            }
        }
        for heading in [
            "ui-root-cause",
            "ui-evidence",
            "ui-attempted",
            "ui-command",
            "ui-why",
            "ui-fix",
            "ui-without",
            "ui-verify",
        ] {
            let text = render(&report, Format::Human, &catalog, Style::default());
            assert!(
                text.contains(&catalog.text(heading)),
                "{language:?}: lacks {heading}"
            );
        }
    }
}

#[test]
fn the_order_is_cause_evidence_attempt_command_reason_fix_way_round_check() {
    let catalog = Catalog::new(Language::English);
    let text = render(
        &reference(Language::English, None),
        Format::Human,
        &catalog,
        Style::default(),
    );
    let positions: Vec<usize> = [
        "Root cause",
        "\nEvidence",
        "\nWhat was",
        "\nThe failing",
        "\nWhy it",
        "\nFix",
        "\nIf the fix",
        "\nHow to",
    ]
    .iter()
    .map(|h| text.find(h).unwrap_or_else(|| panic!("lacks {h}")))
    .collect();
    assert!(positions.is_sorted(), "{positions:?}");
}

#[test]
fn a_stated_system_gets_its_own_fix_only() {
    let cases = [
        (
            "fedora",
            "dnf install -y python3.13-devel",
            ["apt-get install", "brew install", "apk add"],
        ),
        (
            "debian:13",
            "apt-get install -y --no-install-recommends python3.13-dev",
            ["dnf install", "brew install", "deadsnakes"],
        ),
        (
            "alpine",
            "apk add python3-dev",
            ["dnf install", "brew install", "zypper"],
        ),
        (
            "opensuse",
            "zypper --non-interactive install python313-devel",
            ["dnf install", "brew install", "apk add"],
        ),
        (
            "macos",
            "brew install python@3.13",
            ["dnf install", "apt-get install", "apk add"],
        ),
        (
            "ubuntu:22.04",
            "ppa:deadsnakes/ppa",
            ["dnf install", "brew install", "apk add"],
        ),
        (
            "ubuntu,pyenv",
            "pyenv install --force 3.13",
            ["dnf install", "brew install", "apk add"],
        ),
        (
            "conda",
            "conda install -y -c conda-forge python=3.13",
            ["dnf install", "brew install", "zypper"],
        ),
    ];
    for (system, wanted, unwanted) in cases {
        let report = reference(Language::English, Some(system));
        let commands: Vec<String> = report.findings[0]
            .fixes
            .iter()
            .flat_map(|f| f.commands.clone())
            .collect();
        let text = commands.join("\n");
        assert!(text.contains(wanted), "{system}: {text}");
        for other in unwanted {
            assert!(!text.contains(other), "{system} is offered {other}: {text}");
        }
    }
}

#[test]
fn json_has_the_documented_fields() {
    let report = reference(Language::English, None);
    let text = render(
        &report,
        Format::Json,
        &Catalog::new(Language::English),
        Style::default(),
    );
    let json: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
    assert_eq!(json["schema"], "ferroductor-doctor/1");
    assert_eq!(json["outcome"], "findings");
    let finding = &json["findings"][0];
    assert_eq!(finding["id"], "python-h-inductor-cpp");
    assert_eq!(finding["confidence"], "high");
    assert_eq!(finding["role"], "root");
    assert_eq!(finding["evidence"][0]["line"], 18);
    assert_eq!(finding["actor"]["id"], "actor-inductor-cpp");
    assert!(finding["fixes"][0]["commands"].is_array());
    assert_eq!(json["facts"]["python"], "3.13");
}

#[test]
fn github_annotations_are_single_lines() {
    let text = render(
        &reference(Language::English, None),
        Format::Github,
        &Catalog::new(Language::English),
        Style::default(),
    );
    assert!(text.lines().all(|l| l.starts_with("::")), "{text}");
    assert!(text.starts_with("::error title=python-h-inductor-cpp::"));
}
