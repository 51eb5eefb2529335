//! Words of the text form, and the error that names a line.

use std::fmt;

/// The text is no kernel: what was found, and in which line (from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    pub line: usize,
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, keyword, buffer, register, type: letters, digits and `_`.
    Word(String),
    /// `%12`.
    Value(u32),
    /// Digits without sign.
    Int(u64),
    /// A number with a point or an exponent, without sign.
    Float(f64),
    Text(String),
    /// `// …` to the end of the line.
    Comment(String),
    Symbol(&'static str),
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(word) => write!(f, "`{word}`"),
            Token::Value(id) => write!(f, "`%{id}`"),
            Token::Int(number) => write!(f, "`{number}`"),
            Token::Float(number) => write!(f, "`{number:?}`"),
            Token::Text(text) => write!(f, "{text:?}"),
            Token::Comment(_) => f.write_str("a comment"),
            Token::Symbol(symbol) => write!(f, "`{symbol}`"),
            Token::End => f.write_str("the end of the text"),
        }
    }
}

/// Longer symbols first.
const SYMBOLS: [&str; 14] = [
    "..", "{", "}", "(", ")", "[", "]", ",", ":", "=", "+", "-", "*", ".",
];

/// The tokens, each with its line.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, ParseError> {
    let mut lexer = Lexer {
        rest: text,
        line: 1,
    };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks();
        let line = lexer.line;
        let token = lexer.token()?;
        let done = token == Token::End;
        tokens.push((token, line));
        if done {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Lexer<'t> {
    fn error<T>(&self, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError {
            line: self.line,
            message: message.into(),
        })
    }

    fn skip_blanks(&mut self) {
        let trimmed = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let skipped = &self.rest[..self.rest.len() - trimmed.len()];
        self.line += skipped.matches('\n').count();
        self.rest = trimmed;
    }

    /// Takes the longest prefix of characters that satisfy the predicate.
    fn take(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(Token::End);
        };
        if let Some(after) = self.rest.strip_prefix("//") {
            self.rest = after.strip_prefix(' ').unwrap_or(after);
            return Ok(Token::Comment(self.take(|c| c != '\n').to_string()));
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let word = self.take(|c| c.is_ascii_alphanumeric() || c == '_');
            return Ok(Token::Word(word.to_string()));
        }
        if first == '%' {
            self.rest = &self.rest[1..];
            return match self.take(|c| c.is_ascii_digit()).parse() {
                Ok(id) => Ok(Token::Value(id)),
                Err(_) => self.error("`%` needs a number"),
            };
        }
        if first == '"' {
            self.rest = &self.rest[1..];
            return self.text();
        }
        for symbol in SYMBOLS {
            if let Some(rest) = self.rest.strip_prefix(symbol) {
                self.rest = rest;
                return Ok(Token::Symbol(symbol));
            }
        }
        self.error(format!("{first:?} has no meaning here"))
    }

    fn number(&mut self) -> Result<Token, ParseError> {
        if let Some(hex) = self.rest.strip_prefix("0x") {
            self.rest = hex;
            return match u64::from_str_radix(self.take(|c| c.is_ascii_hexdigit()), 16) {
                Ok(number) => Ok(Token::Int(number)),
                Err(_) => self.error("a hexadecimal number of up to 64 bits was expected"),
            };
        }
        let start = self.rest;
        let mut is_float = false;
        self.take(|c| c.is_ascii_digit());
        // `0..8` is a range, `0.5` a number.
        let mut after_point = self.rest.chars().skip(1);
        if self.rest.starts_with('.') && after_point.next().is_some_and(|c| c.is_ascii_digit()) {
            is_float = true;
            self.rest = &self.rest[1..];
            self.take(|c| c.is_ascii_digit());
        }
        if self.rest.starts_with(['e', 'E']) {
            is_float = true;
            self.rest = &self.rest[1..];
            self.rest = self.rest.strip_prefix(['+', '-']).unwrap_or(self.rest);
            self.take(|c| c.is_ascii_digit());
        }
        let digits = &start[..start.len() - self.rest.len()];
        let token = if is_float {
            digits.parse().map(Token::Float).ok()
        } else {
            digits.parse().map(Token::Int).ok()
        };
        token.map_or_else(|| self.error(format!("`{digits}` is no 64-bit number")), Ok)
    }

    /// The rest of a quoted text, after the first quote.
    fn text(&mut self) -> Result<Token, ParseError> {
        let mut text = String::new();
        loop {
            text.push_str(self.take(|c| !matches!(c, '"' | '\\' | '\n')));
            let Some(after) = self.rest.strip_prefix(['"', '\\']) else {
                return self.error("a quoted text must end on its line");
            };
            let is_quote = self.rest.starts_with('"');
            self.rest = after;
            if is_quote {
                return Ok(Token::Text(text));
            }
            text.push(self.escape()?);
        }
    }

    /// The character that a backslash introduced.
    fn escape(&mut self) -> Result<char, ParseError> {
        let simple = [("\"", '"'), ("\\", '\\'), ("n", '\n')];
        for (mark, c) in simple {
            if let Some(rest) = self.rest.strip_prefix(mark) {
                self.rest = rest;
                return Ok(c);
            }
        }
        let code = self.rest.strip_prefix("u{").and_then(|rest| {
            let (digits, rest) = rest.split_once('}')?;
            let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
            Some((c, rest))
        });
        match code {
            Some((c, rest)) => {
                self.rest = rest;
                Ok(c)
            }
            None => self.error("unknown escape in a quoted text"),
        }
    }
}
