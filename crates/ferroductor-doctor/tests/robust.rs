//! No input panics, whatever its bytes; memory stays bounded.

use ferroductor_doctor::explain::{self, Options};
use ferroductor_doctor::i18n::{Catalog, Language};
use ferroductor_doctor::render::{Format, Style, render};
use ferroductor_toolchain::{CompileCommand, classify_line};
use proptest::prelude::*;
use std::io::{self, BufReader, Read};

const FORMATS: [Format; 4] = [
    Format::Human,
    Format::Json,
    Format::Markdown,
    Format::Github,
];

fn everything(bytes: &[u8]) {
    let options = Options {
        language: Language::English,
        system: None,
        machine: None,
    };
    let report = explain::explain(bytes, &options).expect("reading from memory");
    let catalog = Catalog::new(Language::English);
    for format in FORMATS {
        render(
            &report,
            format,
            &catalog,
            Style {
                width: 60,
                colour: true,
            },
        );
    }
}

/// Pieces of real messages, to be joined at random.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        prop::sample::select(vec![
            "fatal error: ",
            "Python.h",
            "No such file or directory",
            "cannot find -l",
            "[Errno 13] ",
            "'",
            "\\n",
            "['",
            "g++ ",
            " -I",
            "\u{1b}[31m",
            "\r",
            "\n",
            "version `GLIBCXX_3.4",
            "undefined symbol: _ZN3c10",
            "C1083",
            "é",
            "“",
            "C:\\\\",
            "triton",
            "torchinductor_",
            "File \"",
            "\u{1b}]0;",
            "InductorError: ",
            "cc1plus",
            "-march=",
            "[WinError 5]",
            " -> ",
            "Killed",
            "nvcc",
            "\0",
            "：",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        everything(&bytes);
    }

    #[test]
    fn any_mixture_of_messages(parts in prop::collection::vec(fragment(), 0..60)) {
        everything(parts.concat().as_bytes());
    }

    #[test]
    fn any_command_line(line in "\\PC{0,300}") {
        let _ = CompileCommand::find(&line);
        let _ = CompileCommand::find(&format!("g++ {line} -O3 -shared"));
        let _ = classify_line(&line);
    }
}

#[test]
fn a_long_log_without_line_ends_is_read() {
    let endless = io::repeat(b'x').take(20_000_000);
    let options = Options {
        language: Language::English,
        system: None,
        machine: None,
    };
    let report = explain::explain(BufReader::new(endless), &options).expect("reading from memory");
    assert!(report.findings.is_empty());
}

#[test]
fn a_log_of_nothing_but_errors_stays_small() {
    let line = "/usr/bin/ld: cannot find -lcuda\n".repeat(200_000);
    let options = Options {
        language: Language::English,
        system: None,
        machine: None,
    };
    let report = explain::explain(line.as_bytes(), &options).expect("reading from memory");
    assert_eq!(report.findings[0].evidence[0].occurrences, 200_000);
    assert!(serde_json::to_string(&report).expect("plain data").len() < 100_000);
}
