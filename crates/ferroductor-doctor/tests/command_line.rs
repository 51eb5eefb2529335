//! The binary as a user starts it: exit codes, streams, forms.
//!
//! A healthy machine, exit code 0, is examined in `broken_machines.rs`, in a
//! namespace that makes it so.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn doctor(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ferroductor-doctor"))
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    // Wrong usage ends before the input is read.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("it ends")
}

const LOG: &[u8] = b"main.c:6:10: fatal error: Python.h: No such file or directory\n";

#[test]
fn every_exit_code_says_what_came_out() {
    let cases: [(&[&str], &[u8], i32); 12] = [
        (&["explain"], LOG, 1),
        (&["explain", "-"], LOG, 1),
        (&["explain"], b"epoch 1 loss 0.5\n", 3),
        (&["explain"], b"", 3),
        (&["explain", "/no/such/log"], b"", 2),
        (&["explain", "--system", "beos"], b"", 2),
        (&["explain", "--lang", "tlh"], b"", 2),
        (&["explain", "--format", "pdf"], b"", 2),
        (&["doctor", "--yes"], b"", 2),
        (&["doctor", "--ci", "--fix"], b"", 2),
        (&["--help"], b"", 0),
        (&["--version"], b"", 0),
    ];
    for (arguments, input, code) in cases {
        let done = doctor(arguments, input);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {said}");
        assert_eq!(done.stdout.is_empty(), code == 2, "{arguments:?}");
        assert_eq!(done.stderr.is_empty(), code != 2, "{arguments:?}: {said}");
    }
}

#[test]
fn an_examination_ends_with_the_code_of_its_outcome() {
    let done = doctor(&["doctor", "--quick", "--format", "json"], b"");
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("a report");
    let code = match report["outcome"].as_str() {
        Some("healthy") => 0,
        Some("findings") => 1,
        Some("could-not-tell") => 3,
        other => panic!("{other:?}"),
    };
    assert_eq!(done.status.code(), Some(code));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ferroductor-doctor"))
        .args(["explain", "/dev/null"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    drop(child.stdout.take());
    let done = child.wait_with_output().expect("it ends");
    assert!(done.stderr.is_empty() && done.status.code() == Some(3));
}

/// Every form of output carries the diagnosis, and only JSON is JSON.
#[test]
fn every_form_names_the_finding() {
    for format in ["human", "short", "json", "markdown", "github"] {
        let done = doctor(&["explain", "--format", format, "--color", "never"], LOG);
        let text = String::from_utf8(done.stdout).expect("UTF-8");
        assert!(text.contains("Python.h"), "{format}: {text}");
        assert!(!text.contains('\u{1b}'), "{format}");
        let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        assert_eq!(is_json, format == "json");
    }
}
