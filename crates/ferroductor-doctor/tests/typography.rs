//! The texts follow the typography of their languages.

use std::fs;
use std::path::Path;

/// The texts of a language, without what is code.
fn texts(language: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("locales")
        .join(language);
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("the locales") {
        let path = entry.expect("a file").path();
        let source = fs::read_to_string(path).expect("UTF-8");
        for line in source.lines().filter(|l| !l.starts_with('#')) {
            if let Some((id, text)) = line.split_once(" = ") {
                let prose: String = text.split('`').step_by(2).collect();
                all.push((id.to_owned(), prose));
            }
        }
    }
    assert!(all.len() > 300, "{language}");
    all
}

#[test]
fn french_has_spaces_that_do_not_break_before_tall_punctuation() {
    for (id, text) in texts("fr") {
        for mark in [" :", " ;", " !", " ?", " »", "« "] {
            assert!(!text.contains(mark), "{id}: «{mark}» breaks: {text}");
        }
    }
}

#[test]
fn chinese_has_marks_of_full_width() {
    let chinese = |c: &char| ('\u{4e00}'..='\u{9fff}').contains(c);
    for (id, text) in texts("zh-CN") {
        let letters: Vec<char> = text.chars().collect();
        for pair in letters.windows(2) {
            let narrow = |c: char| matches!(c, ',' | ';' | ':' | '!' | '?' | '(' | ')');
            let beside =
                (chinese(&pair[0]) && narrow(pair[1])) || (narrow(pair[0]) && chinese(&pair[1]));
            assert!(!beside, "{id}: {}{}: {text}", pair[0], pair[1]);
        }
    }
}

/// A translation that equals the original was forgotten, unless it is a name.
#[test]
fn nothing_of_a_sentence_is_left_in_english() {
    let english: std::collections::BTreeMap<String, String> = texts("en").into_iter().collect();
    for language in ["fr", "es", "zh-CN"] {
        for (id, text) in texts(language) {
            let sentence = text.split(' ').count() > 4;
            assert!(
                !(sentence && english.get(&id) == Some(&text)),
                "{language}: {id} is in English: {text}"
            );
        }
    }
}
