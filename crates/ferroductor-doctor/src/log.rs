//! Reads a log of any size, encoding and mess as clean, numbered lines.
//!
//! What must hold: memory is bounded by [`LINE_LIMIT`], whatever the input;
//! line numbers are those an editor shows; no byte sequence is an error.

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

/// Splits one raw line at carriage returns and written-out newlines.
fn visit_segments(raw: &[u8], number: u64, clean: &mut String, visit: &mut impl FnMut(u64, &str)) {
    let text = String::from_utf8_lossy(raw);
    for segment in text.trim_end_matches(['\n', '\r']).split('\r') {
        let segment = without_escapes(segment, clean);
        if written_newlines(segment) < 3 {
            visit(number, segment);
            continue;
        }
        for part in split_written_newlines(segment) {
            visit(number, part);
        }
    }
}

/// How many `\n` stand in the text as two characters, as in Python's repr or JSON.
fn written_newlines(text: &str) -> usize {
    if text.contains("\\n") {
        split_written_newlines(text).count() - 1
    } else {
        0
    }
}

fn split_written_newlines(text: &str) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    let mut start = 0;
    let mut cuts = Vec::new();
    for (at, _) in text.match_indices("\\n") {
        // `C:\\new` in a repr is a path, not a newline.
        if at == 0 || bytes[at - 1] != b'\\' {
            cuts.push((start, at));
            start = at + 2;
        }
    }
    cuts.push((start, text.len()));
    cuts.into_iter().map(|(from, to)| &text[from..to])
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
        // An operating system command ends with BEL or ESC backslash.
        Some(']') => match rest.find(['\u{7}', '\u{1b}']) {
            Some(end) => rest[end + 1..]
                .strip_prefix('\\')
                .unwrap_or(&rest[end + 1..]),
            None => "",
        },
        Some(c) => &rest[c.len_utf8()..],
        None => rest,
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

/// A reader that turns UTF-16 into UTF-8 and leaves everything else alone.
struct Decoded<R> {
    inner: R,
    encoding: Encoding,
    ready: Vec<u8>,
    position: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Bytes,
    Utf16 { big_endian: bool },
}

impl<R: BufRead> Decoded<R> {
    fn new(mut inner: R) -> io::Result<Self> {
        let encoding = guess_encoding(inner.fill_buf()?);
        Ok(Self {
            inner,
            encoding,
            ready: Vec::new(),
            position: 0,
        })
    }

    fn refill(&mut self, big_endian: bool) -> io::Result<()> {
        let mut raw = [0_u8; 8192];
        let mut filled = 0;
        while filled < raw.len() {
            match self.inner.read(&mut raw[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        let units = raw[..filled].chunks_exact(2).map(|pair| {
            if big_endian {
                u16::from_be_bytes([pair[0], pair[1]])
            } else {
                u16::from_le_bytes([pair[0], pair[1]])
            }
        });
        let text: String = char::decode_utf16(units)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        self.ready = text.into_bytes();
        self.position = 0;
        Ok(())
    }
}

/// UTF-16 has a byte order mark, or a zero in nearly every second byte.
fn guess_encoding(start: &[u8]) -> Encoding {
    match start {
        [0xff, 0xfe, ..] => return Encoding::Utf16 { big_endian: false },
        [0xfe, 0xff, ..] => return Encoding::Utf16 { big_endian: true },
        _ => {}
    }
    let sample = &start[..start.len().min(512)];
    let zeros = |parity: usize| {
        sample
            .iter()
            .skip(parity)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    let mostly = sample.len() / 3;
    if sample.len() >= 16 && zeros(1) > mostly {
        Encoding::Utf16 { big_endian: false }
    } else if sample.len() >= 16 && zeros(0) > mostly {
        Encoding::Utf16 { big_endian: true }
    } else {
        Encoding::Bytes
    }
}

impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Decoded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.encoding {
            Encoding::Bytes => self.inner.fill_buf(),
            Encoding::Utf16 { big_endian } => {
                if self.position >= self.ready.len() {
                    self.refill(big_endian)?;
                }
                Ok(&self.ready[self.position..])
            }
        }
    }

    fn consume(&mut self, amount: usize) {
        match self.encoding {
            Encoding::Bytes => self.inner.consume(amount),
            Encoding::Utf16 { .. } => self.position += amount,
        }
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
        assert_eq!(seen[3].1, r"C:\\new\\x')");
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
