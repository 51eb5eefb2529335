//! Reads a log of any size, encoding and mess as clean, numbered lines.
//!
//! What must hold: memory is bounded by [`LINE_LIMIT`], whatever the input;
//! line numbers are those an editor shows; no byte sequence is an error.

mod encoding;
mod entities;
mod quoted;

use encoding::Decoded;
use std::io::{self, BufRead, Read};

/// Longer lines are handed on in pieces of this many bytes.
pub const LINE_LIMIT: usize = 128 * 1024;

/// A message cut by a piece boundary is seen whole in the next piece.
const PIECE_OVERLAP: usize = 2 * 1024;

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogSize {
    pub lines: u64,
    pub bytes: u64,
}

/// Calls `visit` with the number (from 1) and clean text of every line.
pub fn for_each_line(
    reader: impl BufRead,
    mut visit: impl FnMut(u64, &str),
) -> io::Result<LogSize> {
    let mut reader = Decoded::new(reader)?;
    let mut size = LogSize::default();
    let mut raw = Vec::with_capacity(4096);
    let mut clean = String::new();
    let mut number = 1_u64;
    loop {
        let carried = raw.len();
        let count = (&mut reader)
            .take((LINE_LIMIT - carried) as u64)
            .read_until(b'\n', &mut raw)?;
        if count == 0 && carried == 0 {
            break;
        }
        size.bytes += count as u64;
        let complete = raw.last() == Some(&b'\n');
        visit_segments(&raw, number, &mut clean, &mut visit);
        if !complete && count > 0 && raw.len() >= LINE_LIMIT {
            raw.drain(..LINE_LIMIT - PIECE_OVERLAP);
        } else {
            // A line end, or the end of the log.
            number += 1;
            raw.clear();
        }
        size.lines = number - 1;
    }
    Ok(size)
}

/// Splits one raw line at carriage returns and written-out newlines, and takes
/// the texts out of JSON.
fn visit_segments(raw: &[u8], number: u64, clean: &mut String, visit: &mut impl FnMut(u64, &str)) {
    let text = encoding::decode(raw);
    for segment in text.trim_end_matches(['\n', '\r']).split('\r') {
        match quoted::json_texts(segment) {
            Some(texts) => {
                for line in texts.iter().flat_map(|t| t.split(['\n', '\r'])) {
                    visit(number, without_escapes(line, clean));
                }
            }
            None => {
                let segment = without_escapes(segment, clean);
                let plain = entities::replaced(segment);
                let segment = plain.as_ref();
                if !quoted::visit_written_lines(segment, |line| visit(number, line)) {
                    visit(number, segment);
                }
            }
        }
    }
}

/// Removes terminal escapes, real ones and those written out as `\u001b[`.
fn without_escapes<'a>(segment: &'a str, clean: &'a mut String) -> &'a str {
    const WRITTEN: [&str; 3] = ["\\u001b[", "\\x1b[", "\\033["];
    let written = segment.contains('\\') && WRITTEN.iter().any(|w| segment.contains(w));
    if !segment.contains(['\u{1b}', '\u{9b}', '\u{feff}', '\0']) && !written {
        return segment;
    }
    clean.clear();
    let mut rest = segment;
    while let Some(c) = rest.chars().next() {
        let written_escape = WRITTEN.iter().find(|w| rest.starts_with(**w));
        if let Some(escape) = written_escape {
            rest = after_control_sequence(&rest[escape.len()..]);
        } else if c == '\u{1b}' {
            rest = after_escape(&rest[1..]);
        } else if c == '\u{9b}' {
            rest = after_control_sequence(&rest[c.len_utf8()..]);
        } else {
            if c != '\u{feff}' && c != '\0' {
                clean.push(c);
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    clean
}

fn after_escape(rest: &str) -> &str {
    match rest.chars().next() {
        Some('[') => after_control_sequence(&rest[1..]),
        Some(']' | '_' | 'P' | '^' | 'X') => after_string(&rest[1..]),
        Some(c) => &rest[c.len_utf8()..],
        None => rest,
    }
}

/// The text after a string for the terminal (a title, a CI system's time
/// stamp), which ends with BEL or ESC backslash.
fn after_string(rest: &str) -> &str {
    match rest.find(['\u{7}', '\u{1b}', '\u{9c}']) {
        Some(end) => {
            let rest = rest[end..].trim_start_matches(['\u{7}', '\u{1b}', '\u{9c}']);
            rest.strip_prefix('\\').unwrap_or(rest)
        }
        None => "",
    }
}

/// The text after parameters and the final letter of a control sequence.
fn after_control_sequence(rest: &str) -> &str {
    let parameters = rest.find(|c: char| !matches!(c, '0'..='9' | ';' | ':' | '?' | '=' | '>'));
    match parameters.and_then(|at| rest[at..].chars().next().map(|c| at + c.len_utf8())) {
        Some(end) => &rest[end..],
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<(u64, String)> {
        let mut seen = Vec::new();
        for_each_line(bytes, |n, t| seen.push((n, t.to_owned()))).expect("reading from memory");
        seen
    }

    #[test]
    fn numbers_and_line_ends() {
        let seen = lines(b"a\r\nb\nlast");
        assert_eq!(seen, [(1, "a".into()), (2, "b".into()), (3, "last".into())]);
    }

    #[test]
    fn colours_are_removed() {
        assert_eq!(
            lines(b"\x1b[1;31mfatal\x1b[0m error\x1b]0;t\x07!")[0].1,
            "fatal error!"
        );
        assert_eq!(lines(b"\\u001b[31mred\\u001b[0m")[0].1, "red");
        assert_eq!(
            lines(b"\x1b_bk;t=1700000000000\x07fatal error\x1b_x\x1b\\!")[0].1,
            "fatal error!"
        );
    }

    #[test]
    fn utf16_is_decoded() {
        let bytes: Vec<u8> = "\u{feff}erro: x\nzwei"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(lines(&bytes), [(1, "erro: x".into()), (2, "zwei".into())]);
    }

    #[test]
    fn written_newlines_are_split_but_paths_are_not() {
        let seen = lines(br"RuntimeError('a\nb\nc\nC:\\new\\x')");
        assert_eq!(seen.len(), 4);
        assert_eq!(seen[3].1, r"C:\new\x')");
    }

    #[test]
    fn marks_of_a_web_page_are_read() {
        let page = lines(b"<code>version `X&#x27; not found &lt;a&gt; &amp;&quot;</code>");
        assert_eq!(page[0].1, "<code>version `X' not found <a> &\"</code>");
        assert_eq!(lines(b"a && b &c; R&D")[0].1, "a && b &c; R&D");
    }

    #[test]
    fn texts_in_json_are_lines() {
        let seen = lines(br#"{"log":"ld: \"x\"\n","stream":"stderr","pid":7}"#);
        assert_eq!(seen[0], (1, "ld: \"x\"".into()));
        let notebook = lines(b"  \"\\u001b[31mKeyError\\u001b[39m: 'a'\\n\",\n");
        assert_eq!(notebook[0], (1, "KeyError: 'a'".into()));
        let plain = lines(br#"Command: {"not json"#);
        assert_eq!(plain, [(1, r#"Command: {"not json"#.into())]);
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let mut count = 0;
        let mut longest = 0;
        let big = io::repeat(b'x').take(3_000_000);
        let size = for_each_line(io::BufReader::new(big), |_, t| {
            count += 1;
            longest = longest.max(t.len());
        })
        .expect("reading from memory");
        assert!(count > 20 && longest <= LINE_LIMIT);
        assert_eq!(size.lines, 1);
    }
}
