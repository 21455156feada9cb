//! Words by which people opt out, and in again.

use std::collections::HashSet;

use crate::config::OptOut;

/// Words of one tenant. A message is one if it is the word and nothing else, of either case: "STOP", not "STOP 12345".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keywords {
    stop: HashSet<String>,
    start: HashSet<String>,
}

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Stop,
    Start,
}

/// A language whose words are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the words of one of the languages are not known; known are {}; add words by stop and start",
    known()
)]
pub(crate) struct UnknownLanguage;

type Words = &'static [&'static str];

/// By language (ISO 639-1): words that opt out, and in again. The English ones are those that carriers in the USA ask for.
const LANGUAGES: &[(&str, Words, Words)] = &[
    ("de", &["stopp", "stop", "abmelden", "abbestellen"], &["start", "anmelden"]),
    (
        "en",
        &[
            "stop",
            "stopall",
            "unsubscribe",
            "end",
            "quit",
            "revoke",
            "optout",
            "opt-out",
            "opt out",
            "cancel",
        ],
        &["start", "unstop", "subscribe", "optin", "opt-in", "opt in"],
    ),
    ("es", &["stop", "baja", "parar", "cancelar"], &["start", "alta", "empezar"]),
    ("fr", &["stop", "arret", "arrêt", "desabonner", "désabonner"], &["start", "abonner", "reprendre"]),
    ("he", &["הסר", "הסרה", "עצור", "stop"], &["התחל", "start"]),
    ("hi", &["stop", "बंद", "रोकें"], &["start", "शुरू"]),
    ("it", &["stop", "annulla", "disiscrivi"], &["start", "iscrivi"]),
    ("pt", &["stop", "parar", "sair", "cancelar"], &["start", "voltar", "iniciar"]),
    ("sv", &["stop", "stopp", "avsluta"], &["start", "starta"]),
];

fn known() -> String {
    LANGUAGES.iter().map(|(language, ..)| *language).collect::<Vec<_>>().join(", ")
}

impl Keywords {
    pub(crate) fn of(settings: &OptOut) -> Result<Self, UnknownLanguage> {
        let mut keywords = Keywords::default();
        for language in &settings.languages {
            let words = LANGUAGES.iter().find(|(known, ..)| known == language);
            let (_, stop, start) = words.ok_or(UnknownLanguage)?;
            keywords.stop.extend(stop.iter().map(|word| normal(word)));
            keywords.start.extend(start.iter().map(|word| normal(word)));
        }
        keywords.stop.extend(settings.stop.iter().map(|word| normal(word)));
        keywords.start.extend(settings.start.iter().map(|word| normal(word)));
        Ok(keywords)
    }

    /// What a text asks for, if anything. A word that does both stops: that harms nobody.
    pub(crate) fn wish(&self, text: &str) -> Option<Wish> {
        let text = normal(text);
        if self.stop.contains(&text) {
            return Some(Wish::Stop);
        }
        self.start.contains(&text).then_some(Wish::Start)
    }
}

fn normal(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keywords(languages: &[&str], stop: &[&str]) -> Keywords {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Keywords::of(&OptOut { languages: owned(languages), stop: owned(stop), ..OptOut::default() }).unwrap()
    }

    #[test]
    fn a_word_is_one_alone_and_in_either_case() {
        let words = keywords(&["en", "fr"], &["No More!"]);
        for text in ["STOP", " stop\n", "Unsubscribe", "ARRET", "Arrêt", "ARRÊT", "no more!"] {
            assert_eq!(words.wish(text), Some(Wish::Stop), "{text}");
        }
        for text in ["START", "Unstop", "reprendre"] {
            assert_eq!(words.wish(text), Some(Wish::Start), "{text}");
        }
        for text in ["STOP 12345", "please stop", "", "STOPP", "baja"] {
            assert_eq!(words.wish(text), None, "{text}");
        }
    }

    #[test]
    fn a_tenant_may_have_no_words_and_no_language_is_made_up() {
        assert_eq!(keywords(&[], &[]).wish("STOP"), None);
        let unknown = OptOut { languages: vec!["tlh".to_owned()], ..OptOut::default() };
        assert_eq!(Keywords::of(&unknown), Err(UnknownLanguage));
        for (language, stop, start) in LANGUAGES {
            let words = keywords(&[language], &[]);
            assert!(stop.iter().all(|word| words.wish(word) == Some(Wish::Stop)), "{language}");
            assert!(start.iter().all(|word| words.wish(word) == Some(Wish::Start)), "{language}");
        }
    }
}
