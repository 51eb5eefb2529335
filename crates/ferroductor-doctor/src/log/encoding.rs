//! Bytes of any encoding as UTF-8.
//!
//! What must hold: valid UTF-8 is passed on without a copy; UTF-16 is found at
//! the start of the log; for other bytes a line is decided on by itself, as
//! logs mix the output of programs that do not agree on an encoding.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

/// The text of one line.
pub fn decode(raw: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(raw) {
        Ok(text) => Cow::Borrowed(text),
        // Text cut in the middle of a character is still UTF-8.
        Err(_) if mostly_utf8(raw) => String::from_utf8_lossy(raw),
        Err(_) if has_paired_high_bytes(raw) => encoding_rs::GBK.decode_without_bom_handling(raw).0,
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(raw).0,
    }
}

/// Whether nearly all non-ASCII characters of a line are valid UTF-8.
fn mostly_utf8(raw: &[u8]) -> bool {
    let (mut valid, mut broken) = (0_usize, 0_usize);
    for chunk in raw.utf8_chunks() {
        valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    valid > 2 * broken
}

/// In Chinese encodings of two bytes, high bytes come in even runs; in Western
/// encodings of one byte they stand alone between letters.
fn has_paired_high_bytes(raw: &[u8]) -> bool {
    let mut runs = raw.split(u8::is_ascii).filter(|run| !run.is_empty());
    let mut any = false;
    let all_even = runs.all(|run| {
        any = true;
        run.len() % 2 == 0
    });
    any && all_even
}

/// A reader that turns UTF-16 into UTF-8 and leaves everything else alone.
pub struct Decoded<R> {
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
    pub fn new(mut inner: R) -> io::Result<Self> {
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

    #[test]
    fn each_line_is_decoded_by_its_own_bytes() {
        assert_eq!(decode("no é".as_bytes()), "no é");
        assert_eq!(
            decode(b"cannot execute \x91cc1plus\x92"),
            "cannot execute ‘cc1plus’"
        );
        assert_eq!(decode(b"erreur : pr\xe9vue"), "erreur : prévue");
        let gbk = [0xd6, 0xc2, 0xc3, 0xfc, 0xb4, 0xed, 0xce, 0xf3];
        assert_eq!(decode(&gbk), "致命错误");
        let cut = &"没有那个文件".as_bytes()[1..];
        assert!(decode(cut).ends_with("有那个文件"));
    }
}
