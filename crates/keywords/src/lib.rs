//! Recognition of opt-out and opt-in words in 25 languages.
//!
//! [`Keywords`] has the words of one tenant, and [`Keywords::wish`] reads what a text asks for.
#![forbid(unsafe_code)]

mod courtesy;
mod fold;
mod languages;
#[cfg(test)]
mod page;
mod sentence;
mod sources;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use courtesy::matches_without_courtesies;
use fold::{Casing, fold, without_accents};
use languages::{LANGUAGES, Language, OF_EVERY_LANGUAGE};
use portcullis_api::settings::OptOut;
use sentence::{LONGEST, first_sentence};

/// The opt-out and opt-in words of one tenant.
///
/// A text matches a word if both are equal after folding, which ignores case, the amount of white space, invisible characters and
/// surrounding punctuation. Opt-outs are matched more generously: accents and courtesies ("stop please") are ignored, and only
/// the first sentence or line has to match ("Stop. Thank you", or STOP above a signature). Opt-ins are not, because sending to a
/// person who opted out is worse than asking for START again. A word among other words doesn't match.
///
/// `docs/opt-out-words.md` lists the words, their sources, and the rules of carriers and vendors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keywords {
    lists: Vec<Arc<WordList>>,
}

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To opt out.
    Stop,
    /// To opt in again.
    Start,
}

/// An invalid element of a tenant's opt-out settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSetting {
    /// The name of the setting: `languages`, `stop` or `start`.
    pub list: &'static str,
    /// The index of the element in the list, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub error: SettingError,
}

/// Why a language or a tenant's own word is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// There is no word list for this language code.
    #[error(
        "there are no words for this language; known are {}; add your own words with stop and start",
        known()
    )]
    UnknownLanguage,
    /// The word has no letters or digits.
    #[error(
        "nothing is left of this word without punctuation, symbols and spaces, which are ignored; use letters or digits"
    )]
    Nothing,
    /// The word has more than 1,024 characters.
    #[error("this word has more than {LONGEST} characters, so no text can match it; shorten it")]
    TooLong,
}

/// Words folded with one casing rule.
#[derive(Debug, PartialEq, Eq)]
struct WordList {
    casing: Casing,
    /// Folded, and without accents.
    stop: HashSet<String>,
    /// Folded, with accents.
    start: HashSet<String>,
}

/// A text folded with one casing rule.
struct Reading {
    casing: Casing,
    folded: String,
    without_accents: String,
}

/// The word lists of each language, folded once and shared by all tenants.
static LISTS: LazyLock<HashMap<&'static str, Vec<Arc<WordList>>>> =
    LazyLock::new(|| LANGUAGES.iter().map(|language| (language.code, lists_of(language))).collect());

fn lists_of(language: &Language) -> Vec<Arc<WordList>> {
    let texts = |words: languages::Words| words.iter().map(|(word, _)| *word);
    let stop: Vec<&str> = texts(OF_EVERY_LANGUAGE.stop).chain(texts(language.stop)).collect();
    let start: Vec<&str> = texts(OF_EVERY_LANGUAGE.start).chain(texts(language.start)).collect();
    let casings: &[Casing] =
        if language.is_turkic() { &[Casing::Default, Casing::Turkic] } else { &[Casing::Default] };
    casings.iter().map(|casing| Arc::new(WordList::new(*casing, &stop, &start))).collect()
}

fn known() -> String {
    LANGUAGES.iter().map(|language| language.code).collect::<Vec<_>>().join(", ")
}

impl Keywords {
    /// Builds the words of a tenant from its languages and own words.
    ///
    /// # Errors
    ///
    /// Returns every unknown language and every own word that no text could match.
    pub fn of(settings: &OptOut) -> Result<Self, Vec<InvalidSetting>> {
        let mut lists = Vec::new();
        let mut bad = Vec::new();
        for (index, language) in settings.languages.iter().enumerate() {
            match LISTS.get(language.as_str()) {
                Some(words) => lists.extend(words.iter().map(Arc::clone)),
                None => bad.push(InvalidSetting {
                    list: "languages",
                    index,
                    error: SettingError::UnknownLanguage,
                }),
            }
        }
        for (list, words) in [("stop", &settings.stop), ("start", &settings.start)] {
            let errors = words.iter().enumerate().filter_map(|(index, word)| Some((index, error_of(word)?)));
            bad.extend(errors.map(|(index, error)| InvalidSetting { list, index, error }));
        }
        if !bad.is_empty() {
            return Err(bad);
        }
        if !settings.stop.is_empty() || !settings.start.is_empty() {
            // The language of own words is unknown, so it may be Turkish.
            for casing in [Casing::Default, Casing::Turkic] {
                lists.push(Arc::new(WordList::new(casing, &settings.stop, &settings.start)));
            }
        }
        Ok(Keywords { lists })
    }

    /// Whether a word is valid as a tenant's own: it has letters or digits, and is not too long.
    pub fn can_match(word: &str) -> bool {
        error_of(word).is_none()
    }

    /// Returns what a text asks for, if anything. A word that is in both lists opts out, because that is the safer mistake.
    ///
    /// Folds at most 1,024 characters, up to twice per casing rule. Of a longer text, only the first sentence is matched.
    pub fn wish(&self, text: &str) -> Option<Intent> {
        let text = text.trim();
        if !is_too_long(text) {
            let readings = self.readings(text);
            if self.any(&readings, WordList::is_stop) {
                return Some(Intent::Stop);
            }
            if self.any(&readings, |list, reading| list.start.contains(&reading.folded)) {
                return Some(Intent::Start);
            }
            if self.any(&readings, WordList::is_stop_with_courtesies) {
                return Some(Intent::Stop);
            }
        }
        let readings = self.readings(first_sentence(text)?);
        self.any(&readings, WordList::is_stop_with_courtesies).then_some(Intent::Stop)
    }

    /// Folds a text with each casing rule that some list uses.
    fn readings(&self, text: &str) -> Vec<Reading> {
        [Casing::Default, Casing::Turkic]
            .into_iter()
            .filter(|casing| self.lists.iter().any(|list| list.casing == *casing))
            .map(|casing| Reading::new(text, casing))
            .collect()
    }

    /// Whether a list recognizes the reading with its casing rule.
    fn any(&self, readings: &[Reading], is_heard: impl Fn(&WordList, &Reading) -> bool) -> bool {
        readings.iter().any(|reading| {
            self.lists.iter().any(|list| list.casing == reading.casing && is_heard(list, reading))
        })
    }
}

impl WordList {
    fn new(casing: Casing, stop: &[impl AsRef<str>], start: &[impl AsRef<str>]) -> Self {
        WordList {
            casing,
            stop: stop.iter().map(|word| without_accents(&fold(word.as_ref(), casing))).collect(),
            start: start.iter().map(|word| fold(word.as_ref(), casing)).collect(),
        }
    }

    fn is_stop(&self, reading: &Reading) -> bool {
        self.stop.contains(&reading.without_accents)
    }

    fn is_stop_with_courtesies(&self, reading: &Reading) -> bool {
        matches_without_courtesies(&reading.without_accents, self.casing, |word| self.stop.contains(word))
    }
}

impl Reading {
    fn new(text: &str, casing: Casing) -> Self {
        let folded = fold(text, casing);
        Reading { casing, without_accents: without_accents(&folded), folded }
    }
}

fn is_too_long(text: &str) -> bool {
    text.chars().nth(LONGEST).is_some()
}

fn error_of(word: &str) -> Option<SettingError> {
    if is_too_long(word.trim()) {
        return Some(SettingError::TooLong);
    }
    // Check without accents, because the Arabic tatweel is a letter but is removed with them.
    without_accents(&fold(word, Casing::Default)).is_empty().then_some(SettingError::Nothing)
}

#[cfg(test)]
mod tests;
