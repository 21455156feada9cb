//! Words by which people opt out, and in again.

mod courtesy;
mod fold;
mod languages;
#[cfg(test)]
mod page;
mod sentence;
mod sources;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use crate::config::OptOut;
use courtesy::is_courteously;
use fold::{Casing, fold, without_accents};
use languages::{LANGUAGES, Language, OF_EVERY_LANGUAGE};
use sentence::{LONGEST, first_sentence};

/// Words of one tenant.
///
/// A text asks for something if it is a word and nothing else, however it was typed: case, accents, punctuation around it, emoji and
/// spaces do not matter. Courtesies around a word that opts out do not matter either ("stop please"), and nor does what follows
/// its sentence or line ("Stop. Thank you", a signature). Nothing of the kind goes for words that opt in again: to write to somebody
/// who opted out is worse than to ask once more. A sentence that has the word among others asks for nothing.
///
/// The rules are CTIA's and the FCC's, as far as they fit together with vendors' (`docs/opt-out-words.md`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keywords {
    lists: Vec<Arc<WordList>>,
}

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Stop,
    Start,
}

/// A setting that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadSetting {
    /// The list in which it stands: `languages`, `stop` or `start`.
    pub(crate) list: &'static str,
    /// Where in the list, from 0 on.
    pub(crate) index: usize,
    pub(crate) why: Unheard,
}

/// Why nobody would be heard by a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unheard {
    #[error("no words of this language are known; known are {}; add words by stop and start", known())]
    UnknownLanguage,
    #[error(
        "nothing is left of this word without punctuation, symbols and spaces, which do not count; write letters or digits"
    )]
    Nothing,
    #[error(
        "this word has more than {LONGEST} characters, and longer texts are not read as words; shorten it"
    )]
    TooLong,
}

/// Words that are folded in one way.
#[derive(Debug, PartialEq, Eq)]
struct WordList {
    casing: Casing,
    /// Without accents.
    stop: HashSet<String>,
    start: HashSet<String>,
}

/// A text, folded in one way.
struct Reading {
    casing: Casing,
    folded: String,
    without_accents: String,
}

/// By language, so that tenants share them.
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
    /// All settings by which nobody would be heard.
    pub(crate) fn of(settings: &OptOut) -> Result<Self, Vec<BadSetting>> {
        let mut lists = Vec::new();
        let mut bad = Vec::new();
        for (index, language) in settings.languages.iter().enumerate() {
            match LISTS.get(language.as_str()) {
                Some(words) => lists.extend(words.iter().map(Arc::clone)),
                None => bad.push(BadSetting { list: "languages", index, why: Unheard::UnknownLanguage }),
            }
        }
        for (list, words) in [("stop", &settings.stop), ("start", &settings.start)] {
            let errors =
                words.iter().enumerate().filter_map(|(index, word)| Some((index, why_unheard(word)?)));
            bad.extend(errors.map(|(index, why)| BadSetting { list, index, why }));
        }
        if !bad.is_empty() {
            return Err(bad);
        }
        if !settings.stop.is_empty() || !settings.start.is_empty() {
            // They may be of any language.
            for casing in [Casing::Default, Casing::Turkic] {
                lists.push(Arc::new(WordList::new(casing, &settings.stop, &settings.start)));
            }
        }
        Ok(Keywords { lists })
    }

    /// What a text asks for, if anything. A word that does both stops: that harms nobody.
    ///
    /// Reads at most 1,024 characters, besides spaces around the text: of a longer one only its first sentence.
    pub(crate) fn wish(&self, text: &str) -> Option<Wish> {
        let text = text.trim();
        if !is_too_long(text) {
            let readings = self.readings(text);
            if self.any(&readings, WordList::is_stop) {
                return Some(Wish::Stop);
            }
            if self.any(&readings, |list, reading| list.start.contains(&reading.folded)) {
                return Some(Wish::Start);
            }
            if self.any(&readings, WordList::is_courteously_stop) {
                return Some(Wish::Stop);
            }
        }
        let readings = self.readings(first_sentence(text)?);
        self.any(&readings, WordList::is_courteously_stop).then_some(Wish::Stop)
    }

    /// The text in each way in which there are words.
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

    fn is_courteously_stop(&self, reading: &Reading) -> bool {
        is_courteously(&reading.without_accents, self.casing, |word| self.stop.contains(word))
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

fn why_unheard(word: &str) -> Option<Unheard> {
    if is_too_long(word.trim()) {
        return Some(Unheard::TooLong);
    }
    // Some letters are nothing but an accent.
    without_accents(&fold(word, Casing::Default)).is_empty().then_some(Unheard::Nothing)
}

#[cfg(test)]
mod tests;
