//! What compilers, linkers and the C library print in other languages, put
//! back into English so that one table of messages serves them all.
//!
//! What must hold: the phrases are those of the programs' own translations
//! (gcc, binutils, glibc); a line without any of them costs one pass over it
//! and no allocation; names, paths and numbers in the line are left alone.

mod phrases;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use phrases::PHRASES;
use regex::Regex;
use std::sync::LazyLock;

/// Sentences whose verb follows the name, as templates; the first column is
/// the phrase that makes the template worth trying.
const REORDERED: &[(&str, &str, &str)] = &[
    // French
    (
        "non reconnue sur la ligne de commande",
        r"option (\S+) non reconnue sur la ligne de commande",
        "unrecognized command-line option $1",
    ),
    (
        "commande introuvable",
        "commande introuvable",
        "command not found",
    ),
    (
        "introuvable",
        r"(«\s*\S+\s*»|\S+)\s+introuvable",
        "cannot find $1",
    ),
    // German
    (
        "kann nicht ausgeführt werden",
        r"(\S+) kann nicht ausgeführt werden",
        "cannot execute $1",
    ),
    (
        "kann nicht gefunden werden",
        r"(\S+) kann nicht gefunden werden",
        "cannot find $1",
    ),
    ("nicht finden", r"kann (\S+) nicht finden", "cannot find $1"),
    (
        "Kommandozeilenoption",
        r"(?:nicht erkannte|unbekannte) Kommandozeilenoption",
        "unrecognized command-line option",
    ),
    (
        "kann nicht gelesen werden",
        r"Spec-Datei (\S+) kann nicht gelesen werden",
        "cannot read spec file $1",
    ),
    (
        "fichier de spec",
        r"ne peut lire le fichier de spec (\S+)",
        "cannot read spec file $1",
    ),
    // Spanish, Chinese
    (
        "sin definir",
        r"referencia a (\S+) sin definir",
        "undefined reference to $1",
    ),
    (
        "未定义的引用",
        r"对(\S+?)未定义的引用",
        "undefined reference to $1",
    ),
    (
        "无法识别的命令行选项",
        "无法识别的命令行选项",
        "unrecognized command-line option ",
    ),
    // Japanese, Turkish
    (
        "が見つかりません",
        r"(\S+) が見つかりません",
        "cannot find $1",
    ),
    ("bulunamadı", r"(\S+) bulunamadı", "cannot find $1"),
];

/// The literals that make a line worth translating.
pub fn phrases() -> impl Iterator<Item = &'static str> {
    let reordered = REORDERED.iter().map(|(phrase, _, _)| *phrase);
    translations().map(|(phrase, _)| phrase).chain(reordered)
}

/// Every phrase of another language with its English.
fn translations() -> impl Iterator<Item = (&'static str, &'static str)> {
    let row = |(english, phrases): &'static (&'static str, &'static [&'static str])| {
        phrases.iter().map(move |phrase| (*phrase, *english))
    };
    PHRASES.iter().flat_map(row)
}

struct Translator {
    finder: AhoCorasick,
    /// The English of the finder's patterns, in their order.
    english: Vec<&'static str>,
    reordered: Vec<(&'static str, Regex, &'static str)>,
}

static TRANSLATOR: LazyLock<Option<Translator>> = LazyLock::new(|| {
    let finder = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::DFA))
        .build(phrases())
        .ok()?;
    let reordered = REORDERED
        .iter()
        .filter_map(|(phrase, regex, english)| Some((*phrase, Regex::new(regex).ok()?, *english)))
        .collect();
    Some(Translator {
        finder,
        english: translations().map(|(_, english)| english).collect(),
        reordered,
    })
});

/// Whether a line holds a phrase of another language.
pub fn holds_phrase(line: &str) -> bool {
    TRANSLATOR.as_ref().is_some_and(|t| t.finder.is_match(line))
}

/// The line in English, when it holds a translated phrase.
pub fn english(line: &str) -> Option<String> {
    let translator = TRANSLATOR.as_ref()?;
    if !translator.finder.is_match(line) {
        return None;
    }
    let mut text = line.to_owned();
    for (phrase, regex, english) in &translator.reordered {
        if text.contains(phrase) {
            text = regex.replace_all(&text, *english).into_owned();
        }
    }
    let mut out = String::with_capacity(text.len());
    translator
        .finder
        .replace_all_with(&text, &mut out, |found, original, out| {
            let english = translator.english.get(found.pattern().as_usize());
            out.push_str(english.unwrap_or(&original));
            true
        });
    Some(english_punctuation(&out))
}

/// Colons and quotation marks as English programs print them.
fn english_punctuation(text: &str) -> String {
    text.replace('\u{202f}', "\u{a0}")
        .replace("«\u{a0}", "'")
        .replace("\u{a0}»", "'")
        .replace('\u{a0}', " ")
        .replace(" :", ":")
        .replace('：', ": ")
        .replace(['“', '”', '「', '」', '«', '»'], "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_of_gcc_and_ld_come_back_in_english() {
        let cases = [
            (
                "x.cpp:5:10: schwerwiegender Fehler: Python.h: Datei oder Verzeichnis nicht gefunden",
                "x.cpp:5:10: fatal error: Python.h: No such file or directory",
            ),
            (
                "/usr/bin/ld : ne peut pas trouver -lcuda\u{a0}: Aucun fichier ou dossier de ce type",
                "/usr/bin/ld: cannot find -lcuda: No such file or directory",
            ),
            (
                "x.cpp:5:10: 致命错误：Python.h：没有那个文件或目录",
                "x.cpp:5:10: fatal error: Python.h: No such file or directory",
            ),
            (
                "gcc: schwerwiegender Fehler: »cc1plus« kann nicht ausgeführt werden: execvp",
                "gcc: fatal error: cannot execute 'cc1plus': execvp",
            ),
            (
                "/usr/bin/ld: -lcuda が見つかりません: そのようなファイルやディレクトリはありません",
                "/usr/bin/ld: cannot find -lcuda: No such file or directory",
            ),
            (
                "collect2: erreur fatale: «\u{a0}ld\u{a0}» introuvable",
                "collect2: fatal error: cannot find 'ld'",
            ),
            (
                "bash: nvcc : commande introuvable",
                "bash: nvcc: command not found",
            ),
            (
                "c++: 编译器内部错误：已杀死 (程序 cc1plus)",
                "c++: internal compiler error: Killed (程序 cc1plus)",
            ),
            (
                "a.cc:1:8: фатальная ошибка: omp.h: Нет такого файла или каталога",
                "a.cc:1:8: fatal error: omp.h: No such file or directory",
            ),
        ];
        for (original, wanted) in cases {
            assert_eq!(english(original).as_deref(), Some(wanted));
        }
    }

    #[test]
    fn english_lines_are_left_alone() {
        assert_eq!(english("x.c:1:1: fatal error: a.h: No such file"), None);
        assert_eq!(english("≥ 3 naïve façades"), None);
    }

    #[test]
    fn every_template_is_a_regular_expression() {
        for (_, regex, _) in REORDERED {
            assert!(Regex::new(regex).is_ok(), "{regex}");
        }
    }
}
