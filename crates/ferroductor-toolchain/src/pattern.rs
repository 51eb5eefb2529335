//! Tables of regular expressions that are matched against single lines.
//!
//! What must hold: matching is linear in the line; a line without any anchor
//! literal of the table costs one Aho-Corasick pass and no regex; every row
//! carries a real line it matches and a near miss it must not match, and
//! [`check_table`] proves both.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::Regex;
use std::collections::BTreeMap;

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

/// Every capture name the tables use; anything else is not reported.
const CAPTURE_NAMES: &[&str] = &[
    "header", "lib", "version", "by", "symbol", "object", "path", "program", "tool", "flag",
    "found", "wanted", "name", "target", "module", "limit", "arch",
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
        let mut candidates: Vec<usize> = Vec::new();
        for found in self.anchors.find_overlapping_iter(line) {
            for &row in &self.rows_of_anchor[found.pattern().as_usize()] {
                if !candidates.contains(&row) {
                    candidates.push(row);
                }
            }
        }
        candidates.sort_unstable();
        let mut found: Vec<PatternMatch<Id>> = Vec::new();
        for row in candidates {
            // Rows for cut and localised forms may match the same words again.
            let known = found.iter().any(|m| m.id == self.rows[row].id);
            if let Some(matched) = self.rows[row].apply(line).filter(|_| !known) {
                found.push(matched);
            }
        }
        found
    }
}

/// An automaton over no literals; building it cannot fail for want of memory.
fn unreachable_empty_automaton() -> AhoCorasick {
    let none: [&str; 0] = [];
    AhoCorasick::new(none).expect("an automaton without patterns has no limits to exceed")
}

impl<Id: Copy> Row<Id> {
    fn apply(&self, line: &str) -> Option<PatternMatch<Id>> {
        let found = self.regex.captures(line)?;
        let whole = found.get(0)?;
        let captures = self
            .names
            .iter()
            .filter_map(|name| found.name(name).map(|m| (*name, m.as_str().to_owned())))
            .collect();
        Some(PatternMatch {
            id: self.id,
            start: whole.start(),
            end: whole.end(),
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
