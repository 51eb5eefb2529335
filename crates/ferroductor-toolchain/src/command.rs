//! Takes a compiler command apart: program, and each flag with its purpose.
//!
//! What must hold: any text may be given; what does not look like a compiler
//! command yields `None`. Both forms that logs show are read: the shell line
//! and Python's list of strings.

use crate::flags::{FlagRole, include_role, library_dir_role, python_version_in, role_of};
use std::sync::LazyLock;

/// The most bytes of a line that are looked at.
const LENGTH_LIMIT: usize = 256 * 1024;

/// One flag with its value and purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// As written, the value joined by a space where it was a word of its own.
    pub text: String,
    pub role: FlagRole,
    /// The path, name or number the flag carries, if any.
    pub value: Option<String>,
}

impl Flag {
    /// Whether the value is a path that should exist before the command runs.
    pub fn expects_path(&self) -> bool {
        use FlagRole::*;
        matches!(
            self.role,
            Source
                | PythonHeaders
                | TorchHeaders
                | CudaHeaders
                | IncludeDir
                | PreInclude
                | PythonLibDir
                | TorchLibDir
                | LibraryDir
                | Sysroot
        )
    }
}

/// A compile or link command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileCommand {
    pub program: String,
    pub flags: Vec<Flag>,
}

static COMPILER: LazyLock<Option<regex::Regex>> = LazyLock::new(|| {
    regex::Regex::new(
        r"(?i)^(?:[\w.]+-(?:[\w.]+-)*)?(?:g\+\+|gcc|c\+\+|cc|clang\+\+|clang|clang-cl|cl|nvcc|icpx|icx|icx-cl|tcc|ptxas|hipcc)(?:-[\d.]+)?(?:\.exe)?$",
    )
    .ok()
});

impl CompileCommand {
    /// Finds a compiler command in a line; `None` when there is none.
    pub fn find(line: &str) -> Option<Self> {
        let line = clip(line);
        let words = match line.find("['") {
            Some(start) => python_list(&line[start + 1..]),
            None => shell_words(line),
        };
        let start = words.iter().position(|w| is_compiler(w))?;
        let rest = &words[start + 1..];
        let flag_count = rest.iter().filter(|w| looks_like_flag(w)).count();
        if flag_count < 2 {
            return None;
        }
        let flags = read_flags(rest, base_name(&words[start]).starts_with("cl"));
        Some(Self {
            program: words[start].clone(),
            flags,
        })
    }

    pub fn values(&self, role: FlagRole) -> impl Iterator<Item = &str> {
        self.flags
            .iter()
            .filter(move |f| f.role == role)
            .filter_map(|f| f.value.as_deref())
    }

    pub fn has(&self, role: FlagRole) -> bool {
        self.flags.iter().any(|f| f.role == role)
    }

    /// The Python version the command compiles for, as its paths say.
    pub fn python_version(&self) -> Option<String> {
        self.values(FlagRole::PythonHeaders)
            .chain(self.values(FlagRole::TorchHeaders))
            .find_map(python_version_in)
    }

    /// The `torch` package folder the command names.
    pub fn torch_dir(&self) -> Option<&str> {
        let include = self.values(FlagRole::TorchHeaders).next()?;
        let end = include
            .replace('\\', "/")
            .to_ascii_lowercase()
            .find("/torch/include")?;
        include.get(..end + "/torch".len())
    }

    /// Words that are neither flags nor sources: parts of paths that were split at a space.
    pub fn stray_words(&self) -> impl Iterator<Item = &str> {
        self.flags
            .iter()
            .filter(|f| f.role == FlagRole::StrayWord)
            .map(|f| f.text.as_str())
    }
}

fn clip(line: &str) -> &str {
    let mut end = line.len().min(LENGTH_LIMIT);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

fn is_compiler(word: &str) -> bool {
    COMPILER
        .as_ref()
        .is_some_and(|r| r.is_match(base_name(word)))
}

fn looks_like_flag(word: &str) -> bool {
    (word.starts_with('-') && word.len() > 1)
        || (word.starts_with('/') && word.len() < 24 && role_of(word) != FlagRole::Other)
}

/// Words of Python's `['a', 'b']`, up to the closing bracket.
fn python_list(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ']' => break,
            '\'' | '"' => {
                let mut word = String::new();
                while let Some(inner) = chars.next() {
                    match inner {
                        '\\' => word.extend(chars.next()),
                        _ if inner == c => break,
                        _ => word.push(inner),
                    }
                }
                words.push(word);
            }
            _ => {}
        }
    }
    words
}

/// Words of a shell line; quotes are honoured, a missing end quote is forgiven.
fn shell_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(q), _) if c == q => quote = None,
            (None, '"') => quote = Some('"'),
            (None, '\'') if word.is_empty() || word.ends_with('=') => quote = Some('\''),
            (None, _) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Flags whose value is the next word, or follows at once.
const WITH_VALUE: &[&str] = &[
    "-isystem",
    "-include",
    "-isysroot",
    "--sysroot",
    "-iquote",
    "-MF",
    "-MT",
    "-D",
    "-U",
    "-I",
    "-L",
    "-o",
    "-x",
    "-ccbin",
    "-Xclang",
    "-Xpreprocessor",
    "/I",
    "/D",
];

fn read_flags(words: &[String], msvc: bool) -> Vec<Flag> {
    let mut flags = Vec::new();
    let mut index = 0;
    while let Some(word) = words.get(index) {
        index += 1;
        let head = WITH_VALUE
            .iter()
            .find(|h| word.starts_with(**h) && (msvc || !h.starts_with('/')));
        let flag = match head {
            Some(head) if word.len() == head.len() => {
                let value = words.get(index).cloned();
                index += 1;
                valued(head, value, true)
            }
            Some(head) => valued(
                head,
                Some(word[head.len()..].trim_start_matches('=').to_owned()),
                false,
            ),
            None => single(word, msvc),
        };
        flags.push(flag);
    }
    flags
}

fn valued(head: &str, value: Option<String>, apart: bool) -> Flag {
    let text_value = value.clone().unwrap_or_default();
    let gap = if apart { " " } else { "" };
    let text = format!("{head}{gap}{text_value}").trim_end().to_owned();
    let role = match head {
        "-I" | "-isystem" | "-iquote" | "/I" => include_role(&text_value),
        "-L" => library_dir_role(&text_value),
        "-include" => FlagRole::PreInclude,
        "-o" => FlagRole::Output,
        "-Xclang" | "-Xpreprocessor" => role_of(&text_value),
        "-D" | "/D" => role_of(&format!("-D{text_value}")),
        _ => role_of(head),
    };
    Flag { text, role, value }
}

fn single(word: &str, msvc: bool) -> Flag {
    let text = word.to_owned();
    if let Some(path) = word.strip_prefix("/LIBPATH:") {
        return Flag {
            text,
            role: library_dir_role(path),
            value: Some(path.to_owned()),
        };
    }
    if let Some(path) = word.strip_prefix("/Fe").filter(|_| msvc) {
        return Flag {
            text,
            role: FlagRole::Output,
            value: Some(path.to_owned()),
        };
    }
    if let Some(name) = word.strip_prefix("-l") {
        return Flag {
            text,
            role: role_of(word),
            value: Some(name.trim_start_matches(':').to_owned()),
        };
    }
    let slash_flag = msvc && word.starts_with('/') && word.matches('/').count() == 1;
    if word.starts_with('-') || slash_flag {
        return Flag {
            text,
            role: role_of(word),
            value: None,
        };
    }
    let role = word_role(word);
    Flag {
        text,
        role,
        value: Some(word.to_owned()),
    }
}

fn word_role(word: &str) -> FlagRole {
    let lower = word.to_ascii_lowercase();
    let ends = |list: &[&str]| list.iter().any(|e| lower.ends_with(e));
    if ends(&[
        ".cpp", ".cc", ".cxx", ".c", ".cu", ".hpp", ".h", ".ptx", ".s",
    ]) {
        FlagRole::Source
    } else if lower.ends_with(".lib") {
        if lower.starts_with("torch") || lower.starts_with("c10") {
            FlagRole::TorchLibrary
        } else {
            FlagRole::Library
        }
    } else if ends(&[".o", ".obj", ".a", ".so"]) || lower.contains(".so.") {
        FlagRole::Library
    } else {
        FlagRole::StrayWord
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_line_is_taken_apart() {
        let line = "g++ /tmp/t/c.main.cpp -D TORCH_INDUCTOR_CPP_WRAPPER -O3 -mavx2 -fopenmp -I/usr/include/python3.13 -I/home/u/.local/lib/python3.13/site-packages/torch/include -ltorch -L/home/u/.local/lib/python3.13/site-packages/torch/lib -o /tmp/c.so";
        let command = CompileCommand::find(line).expect("a command");
        assert_eq!(command.program, "g++");
        assert_eq!(command.python_version().as_deref(), Some("3.13"));
        assert_eq!(
            command.torch_dir(),
            Some("/home/u/.local/lib/python3.13/site-packages/torch")
        );
        assert!(command.has(FlagRole::OpenMp));
        assert!(command.has(FlagRole::CppWrapperDefine));
        assert_eq!(command.stray_words().count(), 0);
    }

    #[test]
    fn a_python_list_is_read() {
        let line = "subprocess.CalledProcessError: Command '['/usr/bin/gcc', '/tmp/a b/main.c', '-O3', '-shared', '-lcuda']' returned non-zero exit status 1.";
        let command = CompileCommand::find(line).expect("a command");
        assert_eq!(command.program, "/usr/bin/gcc");
        assert_eq!(
            command.values(FlagRole::Source).next(),
            Some("/tmp/a b/main.c")
        );
        assert!(command.has(FlagRole::CudaLibrary));
    }

    #[test]
    fn windows_commands_are_read() {
        let line = "cl /I C:/Py/Include /D TORCH_INDUCTOR_CPP_WRAPPER /DLL /MD /O2 /std:c++20 /openmp C:/t/x.cpp /LD /FeC:/t/x.pyd /link /LIBPATH:C:/Py/libs torch.lib";
        let command = CompileCommand::find(line).expect("a command");
        assert!(command.has(FlagRole::TorchLibrary));
        assert_eq!(command.values(FlagRole::Output).next(), Some("C:/t/x.pyd"));
    }

    #[test]
    fn a_split_path_leaves_stray_words() {
        let line = "g++ /home/user/app/my projects/cache dir/ai/c.main.cpp -O3 -shared -o /home/user/app/my projects/cache dir/c.so";
        let command = CompileCommand::find(line).expect("a command");
        assert!(command.stray_words().any(|w| w == "projects/cache"));
    }

    #[test]
    fn prose_is_not_a_command() {
        assert_eq!(
            CompileCommand::find("please install g++ with apt install g++ -y"),
            None
        );
        assert_eq!(CompileCommand::find("gcc"), None);
    }
}
