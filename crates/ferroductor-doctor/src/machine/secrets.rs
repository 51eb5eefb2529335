//! Keeps credentials out of everything the doctor shows.
//!
//! What must hold: the value of a variable that looks like a secret is never
//! printed, wherever it turns up (in a compiler's flags, in what a package
//! manager says about its proxy); nothing else of a text changes.

use ferroductor_toolchain::System;

const HIDDEN: &str = "(hidden)";

/// Parts of variable names that announce a secret.
const SECRET_NAMES: &[&str] = &[
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "APIKEY",
    "API_KEY",
    "_KEY",
    "CREDENTIAL",
    "_AUTH",
    "_PASS",
    "COOKIE",
];

/// Beginnings of well-known access tokens.
const TOKEN_STARTS: &[&str] = &[
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "hf_",
    "sk-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "pypi-",
    "npm_",
    "eyJ",
];

/// Names before `=` or `:` whose value is hidden.
const SECRET_WORDS: &[&str] = &[
    // Before the word they follow in a header.
    "bearer",
    "basic",
    "token",
    "password",
    "passwd",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "authorization",
    "credential",
];

/// The secrets of one environment.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    values: Vec<String>,
}

impl Secrets {
    pub fn of(system: &dyn System) -> Self {
        let mut values = Vec::new();
        for name in system.env_names() {
            let Some(value) = system.env(&name) else {
                continue;
            };
            let upper = name.to_ascii_uppercase();
            let secret = SECRET_NAMES.iter().any(|part| upper.contains(part));
            // Shorter values would be found inside ordinary words.
            if secret && value.trim().len() >= 6 {
                values.push(value.trim().to_owned());
            }
            values.extend(password_of(&value).filter(|p| p.len() >= 6));
        }
        // A secret that contains another is hidden first.
        values.sort_by_key(|v| std::cmp::Reverse(v.len()));
        Self { values }
    }

    /// The text without credentials.
    pub fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), HIDDEN);
            }
        }
        let text = hide_user_info(&text);
        let text = hide_after_words(&text);
        hide_tokens(&text)
    }
}

/// The password in an address such as `https://me:password@host/`.
fn password_of(value: &str) -> Option<String> {
    let (_, rest) = value.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    Some(user.split_once(':').map_or(user, |(_, p)| p).to_owned())
}

/// `https://me:password@host` becomes `https://(hidden)@host`.
fn hide_user_info(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let ends = |c: char| c.is_whitespace() || "/?#'\"<>".contains(c);
        let length = after.find(ends).unwrap_or(after.len());
        let (authority, tail) = after.split_at(length);
        match authority.rsplit_once('@') {
            Some((_, host)) => shown.push_str(&format!("{HIDDEN}@{host}")),
            None => shown.push_str(authority),
        }
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

/// `token=abc`, `PASSWORD: abc`, `Bearer abc` lose what follows.
fn hide_after_words(text: &str) -> String {
    let mut shown = text.to_owned();
    let header = text.to_ascii_lowercase().contains("authorization");
    for word in SECRET_WORDS {
        let mut from = 0;
        while let Some(found) = shown[from..].to_ascii_lowercase().find(word) {
            let after_word = from + found + word.len();
            from = after_word;
            let start = after_word
                + separator_length(
                    &shown[after_word..],
                    header && ["bearer", "basic"].contains(word),
                );
            if start == after_word {
                continue;
            }
            let ends = |c: char| c.is_whitespace() || "&'\",;)".contains(c);
            let length = shown[start..].find(ends).unwrap_or(shown.len() - start);
            if length > 0 && !shown[start..].starts_with(HIDDEN) {
                shown.replace_range(start..start + length, HIDDEN);
            }
            from = start;
        }
    }
    shown
}

/// The length of `=`, `: ` or, after a scheme of a header, of the space before a value.
fn separator_length(text: &str, scheme: bool) -> usize {
    let mut characters = text.chars();
    match characters.next() {
        Some('=') => 1,
        Some(':') => 1 + usize::from(characters.next() == Some(' ')),
        Some(' ') if scheme => 1,
        _ => 0,
    }
}

fn hide_tokens(text: &str) -> String {
    let part_of_token = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(part_of_token) {
        let (before, word_on) = rest.split_at(start);
        let length = word_on.find(|c| !part_of_token(c)).unwrap_or(word_on.len());
        let (word, tail) = word_on.split_at(length);
        let token = TOKEN_STARTS
            .iter()
            .any(|s| word.strip_prefix(s).is_some_and(|r| r.len() >= 16));
        shown.push_str(before);
        shown.push_str(if token { HIDDEN } else { word });
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferroductor_toolchain::fake::FakeSystem;

    #[test]
    fn values_of_secret_variables_are_hidden_wherever_they_appear() {
        let system = FakeSystem::default()
            .with_env("MY_API_KEY", "correct-horse")
            .with_env("https_proxy", "http://me:battery-staple@proxy:3128");
        let secrets = Secrets::of(&system);
        let text = "g++ -DX=correct-horse; could not connect to http://me:battery-staple@proxy:3128 (battery-staple)";
        let shown = secrets.hide(text);
        assert!(
            !shown.contains("correct-horse") && !shown.contains("battery-staple"),
            "{shown}"
        );
        assert!(shown.contains("@proxy:3128") && shown.starts_with("g++ -DX="));
    }

    #[test]
    fn credentials_are_recognised_by_their_form() {
        let secrets = Secrets::default();
        assert_eq!(
            secrets.hide("https://me:pw@host/x and http://host/y"),
            "https://(hidden)@host/x and http://host/y"
        );
        assert_eq!(secrets.hide("-DAPI_KEY=1"), "-DAPI_KEY=(hidden)");
        assert_eq!(
            secrets.hide("Authorization: Bearer abc.def"),
            "Authorization: (hidden) (hidden)"
        );
        assert_eq!(secrets.hide("hf_abcdefghijklmnopqrstuv"), "(hidden)");
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        let secrets = Secrets::default();
        for text in [
            "/usr/bin/g++ -O3 -I/usr/include/python3.13 x.cpp -o x.so",
            "user@host.example, tokens: 3 wide ≤ ü",
            "deb http://deb.debian.org/debian bookworm/main amd64 python3.11-dev",
        ] {
            let shown = secrets.hide(text);
            // The word `tokens:` is not followed by a value.
            assert_eq!(shown, text);
        }
    }
}
