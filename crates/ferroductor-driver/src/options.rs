//! The registry of options: one row each, with its keyword, environment variable and default.
//!
//! Options come from four places, the later ones win: defaults, `FERRODUCTOR_<NAME>` in the
//! environment, `mode=`, `options=`. What changes generated code is part of [`Options::cache_key`].

use std::fmt;
use std::path::PathBuf;

use ferroductor_ir::kernel::Isa;

/// What to do when our own compilation of a graph fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    Eager,
    Raise,
}

/// Which emitter prints the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codegen {
    Llvm,
    Cpp,
    /// No kernels at all: every operator is left to ATen.
    Aten,
}

impl Codegen {
    pub fn name(self) -> &'static str {
        CODEGEN
            .iter()
            .find(|row| row.1 == self)
            .map_or("", |row| row.0)
    }
}

/// Where half-precision values are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numerics {
    Default,
    Eager,
}

/// The options of one compilation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub on_error: OnError,
    pub codegen: Codegen,
    pub dump: Option<PathBuf>,
    pub numerics: Numerics,
    /// `None`: the best of this CPU.
    pub isa: Option<Isa>,
    pub cache_dir: Option<PathBuf>,
    /// Measure the steps of every call.
    pub profile: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            on_error: OnError::Eager,
            codegen: Codegen::Llvm,
            dump: None,
            numerics: Numerics::Default,
            isa: None,
            cache_dir: None,
            profile: false,
        }
    }
}

/// One row of the registry.
pub struct Setting {
    pub name: &'static str,
    /// What may be given, for people.
    pub values: &'static str,
    pub doc: &'static str,
    /// Does it change generated code?
    pub changes_code: bool,
    get: fn(&Options) -> String,
    set: fn(&mut Options, &str) -> Option<()>,
}

impl Setting {
    /// The environment variable that sets the option.
    pub fn variable(&self) -> String {
        format!("FERRODUCTOR_{}", self.name.to_uppercase())
    }

    pub fn default_text(&self) -> String {
        (self.get)(&Options::default())
    }
}

/// Every option there is.
pub fn known_options() -> &'static [Setting] {
    &SETTINGS
}

static SETTINGS: [Setting; 7] = [
    Setting {
        name: "on_error",
        values: "eager | raise",
        doc: "When a graph cannot be compiled: warn and run it in eager, or raise.",
        changes_code: false,
        get: |o| choice(&ON_ERROR, o.on_error),
        set: |o, text| pick(&ON_ERROR, text).map(|v| o.on_error = v),
    },
    Setting {
        name: "codegen",
        values: "llvm | cpp | aten",
        doc: "Emit machine code with the built-in LLVM, or readable C++ compiled by g++ or clang++; \
              aten generates nothing and tells whose fault a difference is.",
        changes_code: true,
        get: |o| choice(&CODEGEN, o.codegen),
        set: |o, text| pick(&CODEGEN, text).map(|v| o.codegen = v),
    },
    Setting {
        name: "dump",
        values: "a folder",
        doc: "Write every stage of the compilation there as text.",
        changes_code: false,
        get: |o| path_text(&o.dump),
        set: |o, text| set_path(&mut o.dump, text),
    },
    Setting {
        name: "numerics",
        values: "default | eager",
        doc: "Keep fused half-precision values in float32, or round after every operator as eager does.",
        changes_code: true,
        get: |o| choice(&NUMERICS, o.numerics),
        set: |o, text| pick(&NUMERICS, text).map(|v| o.numerics = v),
    },
    Setting {
        name: "isa",
        values: "auto | sse4.2 | avx2 | avx512",
        doc: "Instruction set to generate for; auto takes the best of this CPU.",
        changes_code: true,
        get: |o| o.isa.map_or("auto", Isa::name).to_owned(),
        set: |o, text| {
            o.isa = if text == "auto" {
                None
            } else {
                Some(Isa::from_name(text)?)
            };
            Some(())
        },
    },
    Setting {
        name: "cache_dir",
        values: "a folder",
        doc: "Where compiled code is kept between processes; empty for the user's cache folder.",
        changes_code: false,
        get: |o| path_text(&o.cache_dir),
        set: |o, text| set_path(&mut o.cache_dir, text),
    },
    Setting {
        name: "profile",
        values: "true | false",
        doc: "Measure each kernel and operator in every call; the report then says where the time goes.",
        changes_code: false,
        get: |o| choice(&SWITCH, o.profile),
        set: |o, text| pick(&SWITCH, &text.to_lowercase()).map(|v| o.profile = v),
    },
];

const SWITCH: [(&str, bool); 4] = [("false", false), ("true", true), ("0", false), ("1", true)];
const ON_ERROR: [(&str, OnError); 2] = [("eager", OnError::Eager), ("raise", OnError::Raise)];
const CODEGEN: [(&str, Codegen); 3] = [
    ("llvm", Codegen::Llvm),
    ("cpp", Codegen::Cpp),
    ("aten", Codegen::Aten),
];
const NUMERICS: [(&str, Numerics); 2] =
    [("default", Numerics::Default), ("eager", Numerics::Eager)];

/// What `mode=` may be. All modes generate the same code: nothing is measured or frozen yet, and
/// the overhead per call is as low as we know to make it in every one.
const MODES: [&str; 4] = [
    "default",
    "reduce-overhead",
    "max-autotune",
    "max-autotune-no-cudagraphs",
];

fn choice<T: PartialEq + Copy>(table: &[(&str, T)], value: T) -> String {
    table
        .iter()
        .find(|row| row.1 == value)
        .map_or(String::new(), |row| row.0.to_owned())
}

fn pick<T: Copy>(table: &[(&str, T)], text: &str) -> Option<T> {
    table.iter().find(|row| row.0 == text).map(|row| row.1)
}

fn path_text(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .map_or(String::new(), |p| p.display().to_string())
}

fn set_path(path: &mut Option<PathBuf>, text: &str) -> Option<()> {
    *path = (!text.is_empty()).then(|| PathBuf::from(text));
    Some(())
}

/// An option that does not exist, or a value it cannot take. The user's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionError {
    Unknown {
        name: String,
    },
    Value {
        source: String,
        text: String,
        values: &'static str,
    },
    Mode {
        name: String,
    },
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionError::Unknown { name } => {
                writeln!(f, "ferroductor has no option {name:?}. The options are:")?;
                for (at, setting) in SETTINGS.iter().enumerate() {
                    let end = if at + 1 < SETTINGS.len() { "\n" } else { "" };
                    write!(
                        f,
                        "  {:<14}{}: {}{end}",
                        setting.name, setting.values, setting.doc
                    )?;
                }
                Ok(())
            }
            OptionError::Value {
                source,
                text,
                values,
            } => {
                write!(f, "{source} cannot be {text:?}; it takes {values}")
            }
            OptionError::Mode { name } => {
                write!(
                    f,
                    "ferroductor has no mode {name:?}; the modes are {}",
                    MODES.join(", ")
                )
            }
        }
    }
}

impl std::error::Error for OptionError {}

impl Options {
    /// Defaults, then the environment, then `mode`, then `given`.
    // The one place where options are read from the environment.
    #[allow(clippy::disallowed_methods)]
    pub fn resolve(mode: Option<&str>, given: &[(String, String)]) -> Result<Options, OptionError> {
        Options::resolve_with(mode, given, &|name| std::env::var(name).ok())
    }

    fn resolve_with(
        mode: Option<&str>,
        given: &[(String, String)],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Options, OptionError> {
        let mut options = Options::default();
        for setting in &SETTINGS {
            let variable = setting.variable();
            if let Some(text) = environment(&variable).filter(|t| !t.is_empty()) {
                options.apply(setting, &variable, &text)?;
            }
        }
        let mode = mode.unwrap_or("default");
        if !MODES.contains(&mode) {
            return Err(OptionError::Mode {
                name: mode.to_owned(),
            });
        }
        for (name, text) in given {
            let setting = SETTINGS
                .iter()
                .find(|s| s.name == name)
                .ok_or_else(|| OptionError::Unknown { name: name.clone() })?;
            options.apply(setting, &format!("option {name:?}"), text)?;
        }
        Ok(options)
    }

    fn apply(&mut self, setting: &Setting, source: &str, text: &str) -> Result<(), OptionError> {
        (setting.set)(self, text).ok_or_else(|| OptionError::Value {
            source: source.to_owned(),
            text: text.to_owned(),
            values: setting.values,
        })
    }

    /// Equal for options that generate equal code.
    pub fn cache_key(&self) -> String {
        let parts: Vec<String> = SETTINGS
            .iter()
            .filter(|s| s.changes_code)
            .map(|s| format!("{}={}", s.name, (s.get)(self)))
            .collect();
        parts.join(",")
    }

    /// Every option with its value.
    pub fn values(&self) -> Vec<(&'static str, String)> {
        SETTINGS.iter().map(|s| (s.name, (s.get)(self))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn later_sources_win() {
        let env = |name: &str| match name {
            "FERRODUCTOR_ON_ERROR" => Some("raise".to_owned()),
            "FERRODUCTOR_CODEGEN" => Some("cpp".to_owned()),
            _ => None,
        };
        let o = Options::resolve_with(Some("max-autotune"), &given(&[("codegen", "llvm")]), &env)
            .unwrap();
        assert_eq!((o.on_error, o.codegen), (OnError::Raise, Codegen::Llvm));
    }

    #[test]
    fn mistakes_name_what_is_possible() {
        let none = |_: &str| None;
        let unknown = Options::resolve_with(None, &given(&[("codgen", "cpp")]), &none).unwrap_err();
        assert!(unknown.to_string().contains("codegen") && unknown.to_string().contains("isa"));
        let value = Options::resolve_with(None, &given(&[("isa", "mmx")]), &none).unwrap_err();
        assert!(value.to_string().contains("avx2"));
        let mode = Options::resolve_with(Some("fastest"), &[], &none).unwrap_err();
        assert!(mode.to_string().contains("reduce-overhead"));
        let env = |name: &str| (name == "FERRODUCTOR_NUMERICS").then(|| "perhaps".to_owned());
        let variable = Options::resolve_with(None, &[], &env).unwrap_err();
        assert!(variable.to_string().contains("FERRODUCTOR_NUMERICS"));
    }

    #[test]
    fn the_key_holds_what_changes_code() {
        let none = |_: &str| None;
        let key = |pairs: &[(&str, &str)]| {
            Options::resolve_with(None, &given(pairs), &none)
                .unwrap()
                .cache_key()
        };
        assert_eq!(key(&[]), key(&[("dump", "/tmp/x"), ("on_error", "raise")]));
        assert_ne!(key(&[]), key(&[("numerics", "eager")]));
    }

    #[test]
    fn every_default_parses_back() {
        for setting in &SETTINGS {
            let mut options = Options::default();
            assert_eq!(
                (setting.set)(&mut options, &setting.default_text()),
                Some(())
            );
            assert_eq!(options, Options::default(), "{}", setting.name);
        }
    }
}
