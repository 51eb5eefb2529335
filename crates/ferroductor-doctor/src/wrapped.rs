//! Messages that a terminal, a mail program or a web page broke over lines.
//!
//! What must hold: lines are joined only when their widths say that a page of
//! fixed width broke them; what was joined remembers where each line began, so
//! that evidence names the lines of the real log; size is bounded.

use std::collections::VecDeque;

/// Widths at which terminals and pages usually break.
const USUAL_WIDTHS: &[usize] = &[72, 76, 78, 79, 80, 100, 120, 132, 160];
/// No page is narrower, and a message that needs joining is not on a wider one.
const NARROWEST: usize = 40;
const WIDEST: usize = 240;
/// So many lines back the page's width is judged.
const REGION: usize = 48;
/// A compiler's command of several kilobytes is joined, an endless text is not.
const JOINED_LIMIT: usize = 16 * 1024;

/// One logical line that stood on several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub text: String,
    /// The byte at which each line begins in `text`, with its number.
    starts: Vec<(usize, u64)>,
}

impl Joined {
    pub fn first_line(&self) -> u64 {
        self.starts.first().map_or(0, |(_, n)| *n)
    }

    pub fn last_line(&self) -> u64 {
        self.starts.last().map_or(0, |(_, n)| *n)
    }

    /// The line in which a byte of the text stands.
    pub fn line_at(&self, byte: usize) -> u64 {
        let before = self.starts.partition_point(|(start, _)| *start <= byte);
        self.starts
            .get(before.saturating_sub(1))
            .map_or(0, |(_, n)| *n)
    }

    /// Whether a range of bytes goes over the end of a line.
    pub fn crosses(&self, start: usize, end: usize) -> bool {
        self.starts
            .iter()
            .any(|(line_start, _)| start < *line_start && *line_start < end)
    }
}

/// How a line goes on in the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// Broken in the middle of anything.
    Hard,
    /// Broken at a space.
    AtSpace,
}

/// How wide a line was, and whether it could have been broken at a space.
#[derive(Debug, Clone, Copy)]
struct Width {
    characters: usize,
    has_spaces: bool,
}

/// Watches the lines of a log and joins those that belong together.
#[derive(Debug, Default)]
pub struct Unwrapper {
    widths: VecDeque<Width>,
    joined: Option<Joined>,
    last: Option<(u64, String, usize)>,
}

impl Unwrapper {
    /// Takes in a line; returns a joined line that this one does not continue.
    pub fn push(&mut self, number: u64, line: &str) -> Option<Joined> {
        // Longer than any page: what is before it cannot flow into it.
        let width = if line.len() > 4 * WIDEST {
            usize::MAX
        } else {
            line.chars().count()
        };
        let flow = self.flow_into(line, width);
        let ended = match flow {
            Some(flow) => {
                self.join(number, line, flow);
                None
            }
            None => self.joined.take(),
        };
        if self.widths.len() >= REGION {
            self.widths.pop_front();
        }
        self.widths.push_back(Width {
            characters: width,
            has_spaces: line.trim().contains(' '),
        });
        let longest_head = if line.trim().contains(' ') {
            WIDEST
        } else {
            4 * WIDEST
        };
        self.last = ((NARROWEST..=longest_head).contains(&width)).then(|| {
            let (_, mut text, _) = self.last.take().unwrap_or_default();
            text.clear();
            text.push_str(line);
            (number, text, width)
        });
        ended
    }

    /// The joined line at the end of the log.
    pub fn finish(&mut self) -> Option<Joined> {
        self.joined.take()
    }

    fn flow_into(&self, line: &str, width: usize) -> Option<Flow> {
        let (_, last, last_width) = self.last.as_ref()?;
        if width == usize::MAX || line.trim().is_empty() || shares_prefix(last, line) {
            return None;
        }
        let widths = self.widths.iter().map(|w| w.characters);
        let page = widths.clone().max()?.max(width);
        let full_lines = widths.filter(|w| *w == page).count();
        let usual = USUAL_WIDTHS.contains(&page);
        if *last_width == page && (usual || full_lines >= 2) {
            return Some(Flow::Hard);
        }
        // A word that is wider than the page stands on a line of its own.
        let breakable = self.widths.iter().filter(|w| w.has_spaces);
        let widest = breakable.map(|w| w.characters).max()?;
        if widest < NARROWEST {
            return None;
        }
        let page = *USUAL_WIDTHS.iter().find(|w| **w >= widest)?;
        let first_word = line.split_whitespace().next()?.chars().count();
        let no_room = last_width + 1 + first_word > page;
        (no_room && !last.ends_with([':', ';', '{'])).then_some(Flow::AtSpace)
    }

    fn join(&mut self, number: u64, line: &str, flow: Flow) {
        let Some((last_number, last, _)) = self.last.as_ref() else {
            return;
        };
        let joined = self.joined.get_or_insert_with(|| Joined {
            text: last.clone(),
            starts: vec![(0, *last_number)],
        });
        if joined.text.len() + line.len() > JOINED_LIMIT {
            return;
        }
        let line = match flow {
            Flow::Hard => line,
            Flow::AtSpace => {
                joined.text.push(' ');
                line.trim_start()
            }
        };
        joined.starts.push((joined.text.len(), number));
        joined.text.push_str(line);
    }
}

/// Whether two lines begin with the same words, as lines of one program do:
/// what goes on in the next line does not begin anew.
fn shares_prefix(last: &str, line: &str) -> bool {
    const WORDS: usize = 12;
    let mut common = last.bytes().zip(line.bytes()).take(WORDS);
    let same = common.by_ref().all(|(a, b)| a == b);
    same && line.len() >= WORDS && line.bytes().take(WORDS).any(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(lines: &[&str]) -> Vec<Joined> {
        let mut unwrapper = Unwrapper::default();
        let mut all: Vec<Joined> = lines
            .iter()
            .zip(1..)
            .filter_map(|(line, number)| unwrapper.push(number, line))
            .collect();
        all.extend(unwrapper.finish());
        all
    }

    #[test]
    fn a_line_cut_at_the_width_of_a_terminal_is_joined() {
        let text = format!("start {}", "abcdefgh ".repeat(25));
        let pieces: Vec<String> = text
            .as_bytes()
            .chunks(80)
            .map(|c| String::from_utf8_lossy(c).into_owned())
            .collect();
        let mut lines = vec!["before"];
        lines.extend(pieces.iter().map(String::as_str));
        lines.push("after");
        let joined = joined(&lines);
        assert_eq!(joined.len(), 1);
        assert_eq!(joined[0].text, text);
        assert_eq!((joined[0].first_line(), joined[0].last_line()), (2, 4));
        assert_eq!(joined[0].line_at(80), 3);
        assert!(joined[0].crosses(70, 90) && !joined[0].crosses(10, 80));
    }

    #[test]
    fn a_text_broken_at_spaces_is_joined() {
        let joined = joined(&[
            "short",
            "one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
            "fifteen sixteen",
            "end",
        ]);
        assert_eq!(joined.len(), 1);
        assert!(
            joined[0].text.contains("fourteenfifteen")
                || joined[0].text.contains("fourteen fifteen")
        );
    }

    #[test]
    fn lines_with_one_prefix_are_not_joined() {
        let first = format!("build (3.12)\tcompile {}", "x".repeat(59));
        assert_eq!(first.chars().count(), 80);
        assert_eq!(joined(&[&first, "build (3.12)\tcompile y"]), []);
    }

    #[test]
    fn lines_of_all_lengths_are_not_joined() {
        let long = "x".repeat(170);
        assert_eq!(joined(&["aaaa bbbb", "ccc ddd eee", &long, "f"]), []);
        assert_eq!(joined(&["", "", ""]), []);
    }
}
