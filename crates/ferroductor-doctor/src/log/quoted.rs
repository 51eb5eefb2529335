//! Lines inside lines: log records in JSON, cells of notebooks, and texts that
//! were printed with their newlines written out.
//!
//! What must hold: a line that only looks like JSON is left as it is; a
//! Windows path such as `C:\new` is not taken for a newline.

use serde_json::Value;

/// A record's braces begin within this many bytes, behind a prefix at most.
const PREFIX: usize = 160;

/// The texts of a JSON record, of a JSON string, or of a member of an object.
pub fn json_texts(line: &str) -> Option<Vec<String>> {
    let trimmed = line.trim().trim_end_matches(',');
    if trimmed.ends_with('}') {
        let start = trimmed.find("{\"").filter(|at| *at <= PREFIX)?;
        let value: Value = serde_json::from_str(&trimmed[start..]).ok()?;
        let mut texts = Vec::new();
        collect(&value, &mut texts);
        return Some(texts);
    }
    if !trimmed.starts_with('"') || !trimmed.ends_with('"') || trimmed.len() < 2 {
        return None;
    }
    let literal = match trimmed.find("\": \"") {
        Some(at) if !trimmed[1..at].contains(['"', '\\']) => &trimmed[at + 3..],
        _ => trimmed,
    };
    let text: String = serde_json::from_str(literal).ok()?;
    Some(vec![text])
}

/// All strings of a value, in order; serde_json bounds the depth.
fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|v| collect(v, texts)),
        Value::Object(members) => members.values().for_each(|v| collect(v, texts)),
        _ => {}
    }
}

/// Visits the lines of a text whose newlines stand in it as two characters,
/// as in Python's repr; says whether it is such a text.
pub fn visit_written_lines(text: &str, mut visit: impl FnMut(&str)) -> bool {
    let cuts = written_newlines(text);
    let enough = if has_drive_path(text) { 3 } else { 1 };
    if cuts.len() < enough {
        return false;
    }
    let mut start = 0;
    for end in cuts.into_iter().chain([text.len()]) {
        let part = &text[start..end];
        start = (end + 2).min(text.len());
        if part.contains('\\') {
            visit(&unescaped(part));
        } else {
            visit(part);
        }
    }
    true
}

/// Where `\n` stands as two characters and is not part of `\\new`.
fn written_newlines(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let newline = |at: &usize| *at == 0 || bytes[at - 1] != b'\\';
    text.match_indices("\\n")
        .map(|(at, _)| at)
        .filter(newline)
        .collect()
}

/// Whether the text holds a path like `C:\x` with single backslashes.
fn has_drive_path(text: &str) -> bool {
    text.match_indices(":\\").any(|(at, _)| {
        let bytes = text.as_bytes();
        let drive = at > 0 && bytes[at - 1].is_ascii_alphabetic();
        let word = at > 1 && bytes[at - 2].is_ascii_alphanumeric();
        drive && !word && bytes.get(at + 2) != Some(&b'\\')
    })
}

/// Undoes the escapes of a quoted text.
fn unescaped(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    let mut characters = part.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match characters.next() {
            Some('t') => text.push('\t'),
            Some('r') => {}
            Some(escaped @ ('\\' | '\'' | '"')) => text.push(escaped),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}
