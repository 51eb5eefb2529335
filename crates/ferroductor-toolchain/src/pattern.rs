//! Tables of regular expressions that are matched against single lines.
//!
//! What must hold: matching is linear in the line; a line without any anchor
//! literal of the table costs one Aho-Corasick pass and no regex; of a long line
//! a regex sees no more than [`WINDOWS`] pieces around its anchors; every row
//! carries a real line it matches and a near miss it must not match, and
//! [`check_table`] proves both.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::Regex;
use std::collections::BTreeMap;
use std::ops::Range;

/// One row of a table: what a line means, how to see it, and the proof.
#[derive(Debug)]
pub struct Pattern<Id: 'static> {
    pub id: Id,
    /// Literals (ASCII case ignored); one of them is in every matching line.
    pub anchors: &'static [&'static str],
    pub regex: &'static str,
    /// Real lines that match.
    pub samples: &'static [&'static str],
    /// Similar lines that must not match.
    pub near_misses: &'static [&'static str],
}

/// A row that matched a line, with its named captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternMatch<Id> {
    pub id: Id,
    /// Byte range of the match in the line.
    pub start: usize,
    pub end: usize,
    pub captures: BTreeMap<&'static str, String>,
}

impl<Id> PatternMatch<Id> {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.captures.get(name).map(String::as_str)
    }
}

/// A compiled table.
#[derive(Debug)]
pub struct Scanner<Id: 'static> {
    anchors: AhoCorasick,
    /// For each anchor, the rows it may lead to.
    rows_of_anchor: Vec<Vec<usize>>,
    rows: Vec<Row<Id>>,
}

#[derive(Debug)]
struct Row<Id> {
    id: Id,
    regex: Regex,
    names: Vec<&'static str>,
}

/// A line up to this length is matched as a whole. Messages are shorter; longer
/// lines are commands, dumps, and texts that lost their line ends.
const WHOLE_LINE: usize = 8 * 1024;
/// So much of a long line is matched before and after an anchor.
const REACH: usize = 2 * 1024;
/// So many pieces of a long line at its first anchors, and as many at its last.
pub const WINDOWS: usize = 3;

/// The pieces of a long line in which a row with these anchors may match.
fn windows(line: &str, anchors: &[usize]) -> Vec<Range<usize>> {
    let last = anchors.len().saturating_sub(WINDOWS).max(WINDOWS);
    let chosen = anchors
        .iter()
        .take(WINDOWS)
        .chain(anchors.iter().skip(last));
    chosen
        .map(|at| {
            let mut start = at.saturating_sub(REACH);
            let mut end = (at + REACH).min(line.len());
            while !line.is_char_boundary(start) {
                start -= 1;
            }
            while !line.is_char_boundary(end) {
                end += 1;
            }
            start..end
        })
        .collect()
}

/// Every capture name the tables use; anything else is not reported.
const CAPTURE_NAMES: &[&str] = &[
    "header", "lib", "version", "by", "symbol", "object", "path", "program", "tool", "flag",
    "found", "wanted", "name", "target", "module", "limit", "arch", "asked",
];

impl<Id: Copy + PartialEq> Scanner<Id> {
    /// Compiles a table. A row with an invalid regex is left out; the table's
    /// own test reports it, so a release never loses a row.
    pub fn new(table: &'static [Pattern<Id>]) -> Self {
        let mut literals: Vec<&'static str> = Vec::new();
        let mut rows_of_anchor: Vec<Vec<usize>> = Vec::new();
        let mut rows = Vec::new();
        for pattern in table {
            let Ok(regex) = Regex::new(pattern.regex) else {
                continue;
            };
            let names = CAPTURE_NAMES
                .iter()
                .copied()
                .filter(|n| regex.capture_names().flatten().any(|c| c == *n))
                .collect();
            for &anchor in pattern.anchors {
                let index = literals
                    .iter()
                    .position(|l| *l == anchor)
                    .unwrap_or_else(|| {
                        literals.push(anchor);
                        rows_of_anchor.push(Vec::new());
                        literals.len() - 1
                    });
                rows_of_anchor[index].push(rows.len());
            }
            rows.push(Row {
                id: pattern.id,
                regex,
                names,
            });
        }
        let anchors = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&literals)
            .unwrap_or_else(|_| unreachable_empty_automaton());
        Self {
            anchors,
            rows_of_anchor,
            rows,
        }
    }

    /// Whether the line holds any literal of the table.
    pub fn has_anchor(&self, line: &str) -> bool {
        self.anchors.is_match(line)
    }

    /// All rows that match the line, in table order, each at most once.
    pub fn scan(&self, line: &str) -> Vec<PatternMatch<Id>> {
        let mut found: Vec<PatternMatch<Id>> = Vec::new();
        for (row, anchors) in self.candidates(line) {
            // Rows for cut and localised forms may match the same words again.
            let known = found.iter().any(|m| m.id == self.rows[row].id);
            if known {
                continue;
            }
            let row = &self.rows[row];
            let matched = if line.len() <= WHOLE_LINE {
                row.apply(line, 0..line.len())
            } else {
                let pieces = windows(line, &anchors);
                pieces.into_iter().find_map(|piece| row.apply(line, piece))
            };
            found.extend(matched);
        }
        found
    }

    /// The rows that may match, and where their anchors stand.
    fn candidates(&self, line: &str) -> BTreeMap<usize, Vec<usize>> {
        let mut candidates: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for found in self.anchors.find_overlapping_iter(line) {
            for &row in &self.rows_of_anchor[found.pattern().as_usize()] {
                let anchors = candidates.entry(row).or_default();
                // Only the first and the last are looked at.
                if anchors.len() == 2 * WINDOWS {
                    anchors.remove(WINDOWS);
                }
                anchors.push(found.start());
            }
        }
        candidates
    }
}

/// An automaton over no literals; building it cannot fail for want of memory.
fn unreachable_empty_automaton() -> AhoCorasick {
    let none: [&str; 0] = [];
    AhoCorasick::new(none).expect("an automaton without patterns has no limits to exceed")
}

impl<Id: Copy> Row<Id> {
    fn apply(&self, line: &str, piece: Range<usize>) -> Option<PatternMatch<Id>> {
        let found = self.regex.captures(&line[piece.clone()])?;
        let whole = found.get(0)?;
        // The end of a piece is not the end of a line.
        let cut = (whole.start() == 0 && piece.start > 0)
            || (whole.end() == piece.len() && piece.end < line.len());
        if cut {
            return None;
        }
        let captures = self
            .names
            .iter()
            .filter_map(|name| found.name(name).map(|m| (*name, m.as_str().to_owned())))
            .collect();
        Some(PatternMatch {
            id: self.id,
            start: piece.start + whole.start(),
            end: piece.start + whole.end(),
            captures,
        })
    }
}

/// Checks a table against its own samples; returns the complaints.
pub fn check_table<Id>(table: &'static [Pattern<Id>]) -> Vec<String>
where
    Id: Copy + PartialEq + std::fmt::Debug,
{
    let scanner = Scanner::new(table);
    let mut complaints = Vec::new();
    for pattern in table {
        let id = pattern.id;
        let Ok(own) = Regex::new(pattern.regex) else {
            complaints.push(format!("{id:?}: invalid regex {}", pattern.regex));
            continue;
        };
        if pattern.samples.is_empty() || pattern.near_misses.is_empty() {
            complaints.push(format!("{id:?}: needs a sample and a near miss"));
        }
        for sample in pattern.samples {
            if !own.is_match(sample) {
                complaints.push(format!("{id:?}: does not match its sample {sample:?}"));
            } else if !scanner.scan(sample).iter().any(|m| m.id == id) {
                complaints.push(format!("{id:?}: no anchor in its sample {sample:?}"));
            }
        }
        for miss in pattern.near_misses {
            if own.is_match(miss) {
                complaints.push(format!("{id:?}: matches its near miss {miss:?}"));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: &[Pattern<u8>] = &[Pattern {
        id: 1,
        anchors: &["error"],
        regex: r"error: (?P<name>\w+) at end$",
        samples: &["error: this at end"],
        near_misses: &["error: this at end or not"],
    }];

    #[test]
    fn what_a_regex_sees_of_a_line_is_bounded() {
        let line = "error ".repeat(1_000_000);
        let scanner = Scanner::new(TABLE);
        let seen: usize = scanner
            .candidates(&line)
            .values()
            .flat_map(|anchors| windows(&line, anchors))
            .map(|piece| piece.len())
            .sum();
        assert!(seen <= 2 * WINDOWS * 2 * REACH, "{seen}");
    }

    #[test]
    fn both_ends_of_a_long_line_are_seen_and_its_pieces_are_no_lines() {
        let scanner = Scanner::new(TABLE);
        let noise = "é error, ".repeat(20_000);
        let at_end = scanner.scan(&format!("{noise}error: last at end")).pop();
        let found = at_end.expect("the end is looked at");
        assert_eq!(found.get("name"), Some("last"));
        assert_eq!(found.start, noise.len());
        let cut = format!("error: first at end{}", " x".repeat(WHOLE_LINE));
        assert_eq!(scanner.scan(&cut), []);
        let cut = format!(
            "error: {} at end{}",
            "y".repeat(REACH - 14),
            " x".repeat(WHOLE_LINE)
        );
        assert_eq!(scanner.scan(&cut), []);
    }
}
