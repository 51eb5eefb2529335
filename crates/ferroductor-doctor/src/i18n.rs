//! The four languages, as Project Fluent bundles that are part of the binary.
//!
//! What must hold: every message exists in every language with the same
//! arguments (a test compares the files); a message that is missing all the
//! same shows its identifier instead of failing.

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

/// A language the doctor speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    French,
    Spanish,
    SimplifiedChinese,
}

impl Language {
    pub const ALL: &'static [Language] = &[
        Language::English,
        Language::French,
        Language::Spanish,
        Language::SimplifiedChinese,
    ];

    pub fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::French => "fr",
            Language::Spanish => "es",
            Language::SimplifiedChinese => "zh-CN",
        }
    }

    /// The files of a language, in the order they are loaded.
    pub fn sources(self) -> [&'static str; 3] {
        match self {
            Language::English => [
                include_str!("../locales/en/ui.ftl"),
                include_str!("../locales/en/kinds.ftl"),
                include_str!("../locales/en/machine.ftl"),
            ],
            Language::French => [
                include_str!("../locales/fr/ui.ftl"),
                include_str!("../locales/fr/kinds.ftl"),
                include_str!("../locales/fr/machine.ftl"),
            ],
            Language::Spanish => [
                include_str!("../locales/es/ui.ftl"),
                include_str!("../locales/es/kinds.ftl"),
                include_str!("../locales/es/machine.ftl"),
            ],
            Language::SimplifiedChinese => [
                include_str!("../locales/zh-CN/ui.ftl"),
                include_str!("../locales/zh-CN/kinds.ftl"),
                include_str!("../locales/zh-CN/machine.ftl"),
            ],
        }
    }

    /// The language of a tag or locale name: `fr`, `fr_FR.UTF-8`, `zh-Hans`.
    pub fn from_tag(tag: &str) -> Option<Language> {
        let tag = tag.trim().to_ascii_lowercase().replace('_', "-");
        match tag.split(['-', '.', '@']).next()? {
            "en" | "c" | "posix" => Some(Language::English),
            "fr" => Some(Language::French),
            "es" => Some(Language::Spanish),
            "zh" => Some(Language::SimplifiedChinese),
            _ => None,
        }
    }

    /// The language of the environment, by the usual precedence of variables.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Language {
        let named = ["LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"]
            .iter()
            .filter_map(|n| variable(n))
            .find(|v| !v.is_empty());
        named
            .and_then(|v| Language::from_tag(&v))
            .unwrap_or(Language::English)
    }
}

/// All texts of one language.
pub struct Catalog {
    pub language: Language,
    bundle: FluentBundle<FluentResource>,
}

/// A value that goes into a message.
pub type Argument<'a> = (&'static str, &'a str);

impl Catalog {
    pub fn new(language: Language) -> Self {
        let tag: LanguageIdentifier = language.tag().parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![tag]);
        // Isolation marks would end up in commands that people copy.
        bundle.set_use_isolating(false);
        for source in language.sources() {
            let resource = match FluentResource::try_new(source.to_owned()) {
                Ok(resource) | Err((resource, _)) => resource,
            };
            // A duplicate keeps its first text; the comparison test reports it.
            let _ = bundle.add_resource(resource);
        }
        Self { language, bundle }
    }

    /// A message without arguments.
    pub fn text(&self, id: &str) -> String {
        self.format(id, &[])
    }

    /// A message with arguments.
    pub fn format(&self, id: &str, arguments: &[Argument<'_>]) -> String {
        let Some(pattern) = self.bundle.get_message(id).and_then(|m| m.value()) else {
            return id.to_owned();
        };
        let mut args = FluentArgs::new();
        for (name, value) in arguments {
            args.set(*name, FluentValue::from((*value).to_owned()));
        }
        let mut errors = Vec::new();
        self.bundle
            .format_pattern(pattern, Some(&args), &mut errors)
            .into_owned()
    }

    pub fn has(&self, id: &str) -> bool {
        self.bundle.has_message(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};
    use std::collections::{BTreeMap, BTreeSet};

    type Messages = BTreeMap<String, BTreeSet<String>>;

    fn collect(pattern: &Pattern<&str>, into: &mut BTreeSet<String>) {
        for element in &pattern.elements {
            let PatternElement::Placeable { expression } = element else {
                continue;
            };
            match expression {
                Expression::Inline(InlineExpression::VariableReference { id }) => {
                    into.insert(id.name.to_owned());
                }
                Expression::Inline(_) => {}
                Expression::Select { selector, variants } => {
                    if let InlineExpression::VariableReference { id } = selector {
                        into.insert(id.name.to_owned());
                    }
                    for variant in variants {
                        collect(&variant.value, into);
                    }
                }
            }
        }
    }

    fn messages(language: Language) -> Messages {
        let mut all = Messages::new();
        for source in language.sources() {
            let resource = fluent_syntax::parser::parse(source)
                .unwrap_or_else(|(_, e)| panic!("{language:?}: {e:?}"));
            for entry in resource.body {
                let Entry::Message(message) = entry else {
                    continue;
                };
                let mut args = BTreeSet::new();
                if let Some(value) = &message.value {
                    collect(value, &mut args);
                }
                let twice = all.insert(message.id.name.to_owned(), args);
                assert!(
                    twice.is_none(),
                    "{language:?} has {} twice",
                    message.id.name
                );
            }
        }
        all
    }

    #[test]
    fn all_languages_have_the_same_messages_with_the_same_arguments() {
        let english = messages(Language::English);
        for language in &Language::ALL[1..] {
            let other = messages(*language);
            let missing: Vec<_> = english.keys().filter(|k| !other.contains_key(*k)).collect();
            let extra: Vec<_> = other.keys().filter(|k| !english.contains_key(*k)).collect();
            assert!(
                missing.is_empty() && extra.is_empty(),
                "{language:?}: missing {missing:?}, extra {extra:?}"
            );
            let differ: Vec<_> = english
                .iter()
                .filter(|(k, v)| other.get(*k) != Some(v))
                .map(|(k, _)| k)
                .collect();
            assert!(
                differ.is_empty(),
                "{language:?}: other arguments in {differ:?}"
            );
        }
    }

    #[test]
    fn every_kind_flag_and_actor_has_its_texts() {
        let english = messages(Language::English);
        for kind in crate::kind::Kind::ALL {
            for part in ["cause", "why", "fix"] {
                assert!(
                    english.contains_key(&format!("{}-{part}", kind.slug())),
                    "{kind:?} lacks {part}"
                );
            }
        }
        for role in ferroductor_toolchain::FlagRole::ALL {
            assert!(
                english.contains_key(&format!("flag-{}", role.id())),
                "{role:?}"
            );
        }
        for actor in crate::context::Actor::ALL {
            assert!(
                english.contains_key(&format!("actor-{}", actor.id())),
                "{actor:?}"
            );
        }
    }

    #[test]
    fn locale_names_are_understood() {
        assert_eq!(
            Language::from_tag("zh_CN.UTF-8"),
            Some(Language::SimplifiedChinese)
        );
        assert_eq!(Language::from_tag("fr"), Some(Language::French));
        assert_eq!(Language::from_tag("de"), None);
        let env = |name: &str| (name == "LANG").then(|| "es_ES.UTF-8".to_owned());
        assert_eq!(Language::from_environment(env), Language::Spanish);
    }
}
