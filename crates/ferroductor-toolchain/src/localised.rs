//! What compilers, linkers and the C library print in other languages, put
//! back into English so that one table of messages serves them all.
//!
//! What must hold: the phrases are those of the programs' own translations
//! (gcc, binutils, glibc); a line without any of them costs one pass over it
//! and no allocation; names, paths and numbers in the line are left alone.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::Regex;
use std::sync::LazyLock;

/// A phrase and what the program prints in English.
const PHRASES: &[(&str, &str)] = &[
    // French
    ("erreur fatale", "fatal error"),
    ("erreur interne du compilateur", "internal compiler error"),
    ("erreur", "error"),
    ("Aucun fichier ou dossier de ce type", NO_SUCH_FILE),
    ("Aucun fichier ou dossier de ce nom", NO_SUCH_FILE),
    ("ne peut pas trouver", "cannot find"),
    ("ne peut trouver", "cannot find"),
    ("impossible de trouver", "cannot find"),
    ("ne peut exécuter", "cannot execute"),
    ("référence indéfinie vers", "undefined reference to"),
    ("référence indéfinie à", "undefined reference to"),
    ("Aucun espace disponible sur le périphérique", NO_SPACE),
    ("Permission non accordée", PERMISSION),
    (
        "Système de fichiers accessible en lecture seulement",
        READ_ONLY,
    ),
    ("Instruction non permise", "Illegal instruction"),
    ("Opération non permise", NOT_PERMITTED),
    (
        "échec d'adressage (mapping) du segment de l'objet partagé",
        MAP,
    ),
    ("Ne peut ouvrir le fichier d'objet partagé", SHARED_OBJECT),
    (
        "impossible d'ouvrir le fichier d'objet partagé",
        SHARED_OBJECT,
    ),
    ("Panne d'accès au fichier", STALE),
    ("le signal Killed a terminé le programme", KILLED),
    ("le signal Processus arrêté a terminé le programme", KILLED),
    // Spanish
    ("error fatal", "fatal error"),
    ("error interno del compilador", "internal compiler error"),
    ("No existe el fichero o el directorio", NO_SUCH_FILE),
    ("No existe el archivo o el directorio", NO_SUCH_FILE),
    ("no se puede encontrar", "cannot find"),
    ("no se encuentra", "cannot find"),
    ("no se puede ejecutar", "cannot execute"),
    ("No queda espacio en el dispositivo", NO_SPACE),
    ("Permiso denegado", PERMISSION),
    ("Sistema de ficheros de sólo lectura", READ_ONLY),
    ("Sistema de archivos de solo lectura", READ_ONLY),
    ("Instrucción ilegal", "Illegal instruction"),
    ("Operación no permitida", NOT_PERMITTED),
    ("fallo al asignar un segmento del objeto compartido", MAP),
    (
        "no se puede abrir el fichero del objeto compartido",
        SHARED_OBJECT,
    ),
    (
        "no se puede abrir el archivo del objeto compartido",
        SHARED_OBJECT,
    ),
    ("la señal Terminado (killed) terminó el programa", KILLED),
    // German
    ("schwerwiegender Fehler", "fatal error"),
    ("interner Compiler-Fehler", "internal compiler error"),
    ("Fehler", "error"),
    ("Datei oder Verzeichnis nicht gefunden", NO_SUCH_FILE),
    (
        "Auf dem Gerät ist kein Speicherplatz mehr verfügbar",
        NO_SPACE,
    ),
    ("Keine Berechtigung", PERMISSION),
    ("Das Dateisystem ist nur lesbar", READ_ONLY),
    ("Ungültiger Maschinenbefehl", "Illegal instruction"),
    ("Die Operation ist nicht erlaubt", NOT_PERMITTED),
    ("Fehler beim Mappen des Shared Objects", MAP),
    ("Kann die Shared-Object-Datei nicht öffnen", SHARED_OBJECT),
    ("Veraltete Dateizugriffsnummer (file handle)", STALE),
    ("Nicht definierter Verweis auf", "undefined reference to"),
    ("nicht definierter Verweis auf", "undefined reference to"),
    ("Signal Getötet hat Programm", KILLED),
    ("Signal Killed hat Programm", KILLED),
    // Italian, Portuguese, Polish, Turkish
    ("errore irreversibile", "fatal error"),
    ("errore fatale", "fatal error"),
    ("File o directory non esistente", NO_SUCH_FILE),
    ("impossibile trovare", "cannot find"),
    ("Spazio esaurito sul device", NO_SPACE),
    ("Permesso negato", PERMISSION),
    ("erro fatal", "fatal error"),
    ("Arquivo ou diretório inexistente", NO_SUCH_FILE),
    ("não foi possível localizar", "cannot find"),
    ("referência não definida para", "undefined reference to"),
    ("Não há espaço disponível no dispositivo", NO_SPACE),
    ("Permissão negada", PERMISSION),
    ("Nie ma takiego pliku ani katalogu", NO_SUCH_FILE),
    ("Brak miejsca na urządzeniu", NO_SPACE),
    ("ölümcül hata", "fatal error"),
    ("Böyle bir dosya ya da dizin yok", NO_SUCH_FILE),
    // Russian
    ("фатальная ошибка", "fatal error"),
    ("внутренняя ошибка компилятора", "internal compiler error"),
    ("ошибка", "error"),
    ("Нет такого файла или каталога", NO_SUCH_FILE),
    ("невозможно найти", "cannot find"),
    ("не удалось найти", "cannot find"),
    ("не удалось выполнить", "cannot execute"),
    ("невозможно выполнить", "cannot execute"),
    ("команда не найдена", "command not found"),
    ("неопределённая ссылка на", "undefined reference to"),
    ("На устройстве не осталось свободного места", NO_SPACE),
    ("Отказано в доступе", PERMISSION),
    ("Файловая система доступна только для чтения", READ_ONLY),
    ("Недопустимая инструкция", "Illegal instruction"),
    ("сбой отображения сегмента из разделяемого объекта", MAP),
    (
        "невозможно открыть разделяемый объектный файл",
        SHARED_OBJECT,
    ),
    // Chinese, simplified and traditional
    ("致命错误", "fatal error"),
    ("编译器内部错误", "internal compiler error"),
    ("错误", "error"),
    ("没有那个文件或目录", NO_SUCH_FILE),
    ("找不到", "cannot find"),
    ("无法执行", "cannot execute"),
    ("未定义的引用", "undefined reference"),
    ("设备上没有空间", NO_SPACE),
    ("权限不够", PERMISSION),
    ("只读文件系统", READ_ONLY),
    ("非法指令", "Illegal instruction"),
    ("不允许的操作", NOT_PERMITTED),
    ("无法从共享目标中映射段", MAP),
    ("无法打开共享对象文件", SHARED_OBJECT),
    ("过旧的文件控柄", STALE),
    ("嚴重錯誤", "fatal error"),
    ("編譯器內部錯誤", "internal compiler error"),
    ("錯誤", "error"),
    ("沒有此一檔案或目錄", NO_SUCH_FILE),
    ("裝置上已無多餘空間", NO_SPACE),
    ("拒絕不符權限的操作", PERMISSION),
    ("唯讀的檔案系統", READ_ONLY),
    ("無法開啟共用物件", SHARED_OBJECT),
    // Japanese, Korean
    ("致命的エラー", "fatal error"),
    ("コンパイラ内部エラー", "internal compiler error"),
    ("エラー", "error"),
    ("そのようなファイルやディレクトリはありません", NO_SUCH_FILE),
    ("デバイスに空き領域がありません", NO_SPACE),
    ("許可がありません", PERMISSION),
    ("読み込み専用ファイルシステムです", READ_ONLY),
    ("共有オブジェクトファイルを開けません", SHARED_OBJECT),
    ("그런 파일이나 디렉터리가 없습니다", NO_SUCH_FILE),
    ("장치에 남은 공간이 없음", NO_SPACE),
    ("허가 거부", PERMISSION),
    ("동적 오브젝트 파일을 열 수 없습니다", SHARED_OBJECT),
];

const NO_SUCH_FILE: &str = "No such file or directory";
const NO_SPACE: &str = "No space left on device";
const PERMISSION: &str = "Permission denied";
const READ_ONLY: &str = "Read-only file system";
const NOT_PERMITTED: &str = "Operation not permitted";
const MAP: &str = "failed to map segment from shared object";
const SHARED_OBJECT: &str = "cannot open shared object file";
const STALE: &str = "Stale file handle";
const KILLED: &str = "Killed signal terminated program";

/// Sentences whose verb follows the name, as templates; the first column is
/// the phrase that makes the template worth trying.
const REORDERED: &[(&str, &str, &str)] = &[
    // French
    (
        "non reconnue sur la ligne de commande",
        r"option (\S+) non reconnue sur la ligne de commande",
        "unrecognized command-line option $1",
    ),
    ("introuvable", r"(\S+)\s+introuvable", "cannot find $1"),
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
    PHRASES.iter().map(|(phrase, _)| *phrase).chain(reordered)
}

struct Translator {
    finder: AhoCorasick,
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
    Some(Translator { finder, reordered })
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
            let english = PHRASES.get(found.pattern().as_usize()).map(|(_, e)| *e);
            out.push_str(english.unwrap_or(original));
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
