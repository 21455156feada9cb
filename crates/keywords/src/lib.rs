//! The words by which people opt out, and in again.
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

/// The words of one tenant.
///
/// A text matches a word if it is equal to it after folding (see `fold`), which ignores case, spacing, invisible characters and surrounding
/// punctuation. Opting out is matched more freely: accents and courtesies ("stop please") are ignored, and the first sentence or line
/// is enough ("Stop. Thank you", a signature). Opting in is not: sending to a person who opted out is worse than asking them to write
/// START again. A sentence that contains a word among others matches nothing.
///
/// `docs/opt-out-words.md` has the words, their sources and the rules of carriers and vendors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keywords {
    lists: Vec<Arc<WordList>>,
}

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    Stop,
    Start,
}

/// A language or own word that can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSetting {
    /// The setting: `languages`, `stop` or `start`.
    pub list: &'static str,
    /// Its index in the list.
    pub index: usize,
    pub error: SettingError,
}

/// Why a language or own word can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("no words of this language are known; known are {}; add words by stop and start", known())]
    UnknownLanguage,
    #[error(
        "nothing is left of this word without punctuation, symbols and spaces, which are ignored; use letters or digits"
    )]
    Nothing,
    #[error("this word has more than {LONGEST} characters, and a text as long is never matched; shorten it")]
    TooLong,
}

/// Words folded under one casing.
#[derive(Debug, PartialEq, Eq)]
struct WordList {
    casing: Casing,
    /// Without accents.
    stop: HashSet<String>,
    start: HashSet<String>,
}

/// A text folded under one casing.
struct Reading {
    casing: Casing,
    folded: String,
    without_accents: String,
}

/// The lists of each language, folded once and shared by all tenants.
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
    /// The words of the languages, and the tenant's own.
    ///
    /// # Errors
    ///
    /// Every unknown language, and every own word that no text could match.
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
            // Their language is not known, so it may be Turkish.
            for casing in [Casing::Default, Casing::Turkic] {
                lists.push(Arc::new(WordList::new(casing, &settings.stop, &settings.start)));
            }
        }
        Ok(Keywords { lists })
    }

    /// Whether a text could match an own word.
    pub fn can_match(word: &str) -> bool {
        error_of(word).is_none()
    }

    /// What a text asks for, if anything. A word in both lists opts out, which is the safer error.
    ///
    /// Cost: folds at most 1,024 characters, twice per casing. A longer text is matched by its first sentence only.
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

    /// The text under each casing that some list has.
    fn readings(&self, text: &str) -> Vec<Reading> {
        [Casing::Default, Casing::Turkic]
            .into_iter()
            .filter(|casing| self.lists.iter().any(|list| list.casing == *casing))
            .map(|casing| Reading::new(text, casing))
            .collect()
    }

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
    // Empty without accents, too: the Arabic tatweel is a letter.
    without_accents(&fold(word, Casing::Default)).is_empty().then_some(SettingError::Nothing)
}

#[cfg(test)]
mod tests;
