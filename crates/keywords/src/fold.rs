//! Case and compatibility folding, after which texts that differ only in how they were typed are equal.
//!
//! Follows the Unicode Standard, section 3.13, "Default Caseless Matching", for compatibility-equivalent strings, with ICU4X's
//! data.

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{
    CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed,
};

const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();
const NFD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfd();
const CASES: CaseMapperBorrowed<'static> = CaseMapper::new();
const CATEGORIES: CodePointMapDataBorrowed<'static, GeneralCategory> =
    CodePointMapData::<GeneralCategory>::new();
const IGNORABLE: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<DefaultIgnorableCodePoint>();

/// The lower-case forms of `I` and `İ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Casing {
    /// `I` becomes `i`, as in all languages except Turkish and Azeri.
    Default,
    /// `I` becomes `ı`, and `İ` becomes `i`, as in Turkish and Azeri.
    Turkic,
}

/// Normalizes a text to NFKC, folds its case, removes invisible characters, collapses white space, unifies hyphens and
/// apostrophes, and trims punctuation and symbols at both ends: `«ＳＴＯＰ!»` becomes `stop`. Folding is idempotent.
///
/// Takes time linear in the length of the text. A compatibility character may expand to up to 18 characters.
pub(super) fn fold(text: &str, casing: Casing) -> String {
    let visible: String = text.chars().filter(|character| !is_invisible(*character)).collect();
    let composed = NFKC.normalize(&visible);
    let one_case = match casing {
        Casing::Default => CASES.fold_string(&composed),
        Casing::Turkic => CASES.fold_turkic_string(&composed),
    };
    // Case folding may decompose a character.
    let composed = NFKC.normalize(&one_case);
    let words: Vec<&str> = composed.split_whitespace().collect();
    let plain: String = words.join(" ").chars().map(plain).collect();
    inner(&plain).to_owned()
}

/// Removes accents from a folded text, because people often type without them: `arrêt` becomes `arret`.
///
/// Removes the accents of Latin, Greek and Cyrillic letters, Hebrew points, Arabic vowel signs and hamzas, and the Arabic
/// tatweel. Marks of other scripts, such as Devanagari and Thai, stay, because they are vowels.
pub(super) fn without_accents(folded: &str) -> String {
    NFD.normalize(folded).chars().filter(|character| !is_accent(*character)).collect()
}

/// Trims everything except letters, digits and their marks from both ends: punctuation, symbols, emoji, white space and control
/// characters.
pub(super) fn inner(text: &str) -> &str {
    let mut start = None;
    let mut end = 0;
    let mut is_in_word = false;
    for (position, character) in text.char_indices() {
        is_in_word = is_of_word(character) || (is_in_word && is_mark(character));
        if is_in_word {
            start.get_or_insert(position);
            end = position + character.len_utf8();
        }
    }
    start.map_or("", |start| &text[start..end])
}

/// Whether a character is a letter or number of any script. Unassigned code points are not, because new ones are mostly emoji.
pub(super) fn is_of_word(character: char) -> bool {
    let category = CATEGORIES.get(character);
    GeneralCategoryGroup::Letter.contains(category) || GeneralCategoryGroup::Number.contains(category)
}

/// Whether a character is a combining mark, which belongs to the character before it.
pub(super) fn is_mark(character: char) -> bool {
    GeneralCategoryGroup::Mark.contains(CATEGORIES.get(character))
}

/// Whether a character is invisible: zero-width spaces, directional marks, variation selectors, soft hyphens, and so on.
fn is_invisible(character: char) -> bool {
    IGNORABLE.contains(character) || CATEGORIES.get(character) == GeneralCategory::Format
}

fn is_accent(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}'
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
        | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}')
}

/// Unifies apostrophes and hyphens, because phones replace ' with ’ and - with –.
fn plain(character: char) -> char {
    match character {
        '‘' | '’' | 'ʼ' | '`' => '\'',
        '−' => '-',
        _ if CATEGORIES.get(character) == GeneralCategory::DashPunctuation => '-',
        _ => character,
    }
}

/// Generates up to four characters that folding trims.
#[cfg(test)]
pub(super) fn surroundings() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::strategy::Strategy as _;

    // Some symbols, such as circled letters, fold to letters.
    let is_nothing = |character: char| fold(&character.to_string(), Casing::Default).is_empty();
    let any = "[\\p{P}\\p{S}\\p{Z}\\p{Cf}\n]{0,4}";
    any.prop_map(move |text| text.chars().filter(|character| is_nothing(*character)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_typed_in_many_ways_is_folded_into_one() {
        for (text, expected) in [
            ("STOP", "stop"),
            ("  \u{a0}Stop\u{2028}", "stop"),
            ("ＳＴＯＰ！", "stop"),
            ("ⓢⓣⓞⓟ", "stop"),
            ("𝗦𝗧𝗢𝗣", "stop"),
            ("«S\u{ad}T\u{200b}O\u{200e}P\u{fe0f}»", "stop"),
            ("*_stop_* 🙏🏽🛑\u{fe0f}", "stop"),
            ("#\u{20e3} stop \u{301}", "stop"),
            ("🏴\u{e0067}\u{e0062}\u{e007f} stop \u{1fffd}", "stop"),
            ("\u{1b}stop\0", "stop"),
            ("opt\u{a0} \t\r\n out", "opt out"),
            ("opt\u{2011}out", "opt-out"),
            ("Opt–Out", "opt-out"),
            ("don’t", "don't"),
            ("Arre\u{302}t", "arrêt"),
            // Composed, the lower-case form is one character; the upper-case form has no composed character.
            ("J\u{30c}", "ǰ"),
            ("ǰ", "ǰ"),
            ("STRASSE", "strasse"),
            ("straße", "strasse"),
            ("ΔΙΑΚΟΠΉ", "διακοπή"),
            ("बंद।", "बंद"),
            ("शुरू", "शुरू"),
            ("opt_out", "opt_out"),
            ("!!!", ""),
            ("\u{200b}", ""),
            ("", ""),
        ] {
            assert_eq!(fold(text, Casing::Default), expected, "{text:?}");
        }
    }

    #[test]
    fn two_languages_have_an_i_with_a_dot_and_one_without() {
        for (text, default, turkic) in [
            ("İPTAL", "i\u{307}ptal", "iptal"),
            ("I\u{307}PTAL", "i\u{307}ptal", "iptal"),
            ("iptal", "iptal", "iptal"),
            ("IPTAL", "iptal", "ıptal"),
            ("BIRAK", "birak", "bırak"),
            ("bırak", "bırak", "bırak"),
        ] {
            assert_eq!(fold(text, Casing::Default), default, "{text}");
            assert_eq!(fold(text, Casing::Turkic), turkic, "{text}");
        }
    }

    #[test]
    fn accents_may_be_left_out_but_not_vowels() {
        for (text, expected) in [
            ("arrêt", "arret"),
            ("отпис\u{301}ка", "отписка"),
            ("إيقاف", "ايقاف"),
            ("إيـقـاف", "ايقاف"),
            ("הָסֵר", "הסר"),
            ("रोकें", "रोकें"),
            ("수신거부", "수신거부"),
            ("stop", "stop"),
        ] {
            let decomposed = NFD.normalize(expected);
            assert_eq!(without_accents(&fold(text, Casing::Default)), decomposed, "{text}");
        }
    }

    #[test]
    fn every_character_is_folded_for_good() {
        for character in '\0'..=char::MAX {
            for casing in [Casing::Default, Casing::Turkic] {
                let once = fold(&format!("a{character}b"), casing);
                assert_eq!(fold(&once, casing), once, "U+{:04X}", u32::from(character));
            }
        }
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing_more(text in any::<String>()) {
            for casing in [Casing::Default, Casing::Turkic] {
                let once = fold(&text, casing);
                prop_assert_eq!(&fold(&once, casing), &once);
                let bare = without_accents(&once);
                prop_assert_eq!(&without_accents(&bare), &bare);
            }
        }

        #[test]
        fn what_surrounds_words_does_not_matter(text in any::<String>(), before in surroundings(), after in surroundings()) {
            let folded = fold(&text, Casing::Default);
            prop_assert_eq!(fold(&format!("{before}{folded}{after}"), Casing::Default), folded);
        }
    }
}
