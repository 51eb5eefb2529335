//! No input panics, whatever its bytes; memory stays bounded.

use ferroductor_doctor::explain::{self, Options};
use ferroductor_doctor::i18n::{Catalog, Language};
use ferroductor_doctor::render::{Format, Style, render};
use ferroductor_toolchain::{CompileCommand, classify_line};
use proptest::prelude::*;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

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

/// A small generator of numbers; the same seed gives the same mutations.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).expect("below a usize")
    }
}

fn all_logs() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs");
    let mut logs: Vec<Vec<u8>> = [folder.join("negative"), folder]
        .iter()
        .flat_map(|dir| std::fs::read_dir(dir).expect("the folder of logs"))
        .filter_map(|entry| std::fs::read(entry.ok()?.path()).ok())
        .collect();
    logs.sort();
    logs
}

/// One random change: bytes flipped, a piece cut, repeated, moved or replaced.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let length = bytes.len().max(1);
    let at = random.below(length).min(bytes.len());
    let end = (at + random.below(400)).min(bytes.len());
    match random.below(10) {
        0 => {
            for _ in 0..=random.below(30) {
                let at = random.below(length);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(..at)),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let piece = bytes[at..end].repeat(1 + random.below(40));
            bytes.splice(at..at, piece);
        }
        5 => {
            let from = random.below(other.len());
            let to = (from + random.below(600)).min(other.len());
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        6 => {
            let byte = [0, b'\n', b'\r', 0x1b, 0xff, b'\'', b'"', b'\\', b'{'][random.below(9)];
            bytes.splice(at..at, vec![byte; 1 + random.below(300)]);
        }
        7 => {
            let kept = |b: &u8| *b != b'\n';
            *bytes = bytes.iter().copied().filter(kept).collect();
        }
        8 => {
            let width = 20 + random.below(100);
            *bytes = bytes.chunks(width).collect::<Vec<_>>().join(&b'\n');
        }
        _ => {
            let wide = bytes.iter().flat_map(|b| [*b, 0]);
            *bytes = [0xff, 0xfe].into_iter().chain(wide).collect();
        }
    }
}

/// How long a text takes; measured again when it seems long, as the machine
/// may have done something else meanwhile.
fn time_of(bytes: &[u8]) -> Duration {
    let run = || {
        let began = Instant::now();
        everything(bytes);
        began.elapsed()
    };
    let first = run();
    if first < Duration::from_secs(1) {
        return first;
    }
    (0..4).map(|_| run()).min().unwrap_or(first).min(first)
}

/// `FERRODUCTOR_FUZZ_SECONDS` makes it run longer, and from another seed.
#[test]
fn mutated_logs_are_read_in_time() {
    #[allow(clippy::disallowed_methods)] // A setting of the test itself.
    let seconds = std::env::var("FERRODUCTOR_FUZZ_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok());
    let budget = Duration::from_secs(seconds.unwrap_or(3));
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seconds.unwrap_or(0));
    let logs = all_logs();
    let start = Instant::now();
    let (mut runs, mut slowest) = (0_u64, Duration::ZERO);
    while start.elapsed() < budget {
        let mut bytes = logs[random.below(logs.len())].clone();
        for _ in 0..=random.below(6) {
            let other = &logs[random.below(logs.len())];
            mutate(&mut bytes, other, &mut random);
        }
        bytes.truncate(1 << 20);
        slowest = slowest.max(time_of(&bytes));
        runs += 1;
    }
    println!("{runs} mutated logs, the slowest in {slowest:?}");
    assert!(
        runs > 10 && slowest < Duration::from_secs(30),
        "{slowest:?}"
    );
}

/// Twice the text may take twice the time, not four times.
#[test]
fn time_grows_with_size_only() {
    let pieces: [&str; 16] = [
        "x",
        "/",
        ":",
        "[",
        "('",
        "\\",
        "\\n",
        "\"",
        "{\"a\":",
        " -I",
        "g++ ",
        "error: ",
        "cannot find ",
        "File \"",
        "é",
        "undefined symbol: ",
    ];
    for piece in pieces {
        let time = |bytes: usize| {
            let text = piece.repeat(bytes / piece.len());
            let run = |_| {
                let began = Instant::now();
                everything(text.as_bytes());
                began.elapsed()
            };
            (0..3).map(run).min().expect("three runs")
        };
        // A busy machine may slow down one measurement, but not each of them.
        let grows = || {
            let (small, large) = (time(400_000), time(1_600_000));
            println!("{piece:?}: {small:?}, four times as much {large:?}");
            large > small * 8 + Duration::from_millis(100)
        };
        assert!(!(0..5).all(|_| grows()), "{piece:?}");
    }
}
