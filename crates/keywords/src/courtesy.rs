//! Courtesies around an opt-out: "stop please", "thanks, unsubscribe".
//!
//! No carrier or vendor lists courtesies. Ignoring them follows CTIA's "de minimis variances" and the FCC's "reasonable person"
//! (see `sources`): a courtesy never changes what the word beside it asks for.

use std::iter;
use std::sync::LazyLock;

use super::fold::{Casing, fold, inner, is_mark, is_of_word, without_accents};

/// Maximum number of courtesies that are ignored at each end, to bound the cost.
const MOST: usize = 3;

const COURTESIES: &[&str] = &[
    // English
    "please",
    "pls",
    "plz",
    "kindly",
    "thanks",
    "thanks a lot",
    "thanks so much",
    "many thanks",
    "thank you",
    "thank you so much",
    "thank you very much",
    "thankyou",
    "thank u",
    "thx",
    "thnx",
    "tnx",
    "ty",
    // Arabic
    "من فضلك",
    "لو سمحت",
    "شكرا",
    "شكرا جزيلا",
    // Azeri
    "zəhmət olmasa",
    "xahiş edirəm",
    "təşəkkürlər",
    "təşəkkür edirəm",
    "çox sağ olun",
    "sağ ol",
    "sağ olun",
    // Chinese
    "请",
    "請",
    "谢谢",
    "謝謝",
    // Danish, Norwegian, Swedish
    "tak",
    "mange tak",
    "venligst",
    "takk",
    "vennligst",
    "tack",
    "tack så mycket",
    "snälla",
    "vänligen",
    // Dutch
    "alstublieft",
    "alsjeblieft",
    "aub",
    "bedankt",
    "dank je",
    "dank je wel",
    "dank u",
    "dank u wel",
    // Finnish
    "kiitos",
    // French
    "merci",
    "merci beaucoup",
    "merci d'avance",
    "s'il te plaît",
    "s'il vous plaît",
    "svp",
    "stp",
    // German
    "bitte",
    "danke",
    "danke schön",
    "vielen dank",
    // Greek
    "ευχαριστώ",
    "παρακαλώ",
    // Hebrew
    "בבקשה",
    "תודה",
    "תודה רבה",
    // Hindi, Marathi
    "कृपया",
    "धन्यवाद",
    // Indonesian
    "mohon",
    "tolong",
    "terima kasih",
    "makasih",
    // Italian
    "grazie",
    "grazie mille",
    "per favore",
    "per piacere",
    // Korean
    "감사합니다",
    "고맙습니다",
    // Polish
    "proszę",
    "dzięki",
    "dziękuję",
    // Portuguese
    "obrigada",
    "obrigado",
    "muito obrigada",
    "muito obrigado",
    "por favor",
    // Russian, Ukrainian
    "пожалуйста",
    "спасибо",
    "большое спасибо",
    "будь ласка",
    "дякую",
    // Spanish
    "gracias",
    "muchas gracias",
    // Turkish
    "lütfen",
    "rica ederim",
    "sağ ol",
    "sağ olun",
    "teşekkürler",
    "teşekkür ederim",
];

/// Courtesies, folded and without accents. The longest are first, because "thank you" is also the beginning of "thank you very
/// much".
static DEFAULT: LazyLock<Vec<String>> = LazyLock::new(|| folded(Casing::Default));
/// The same, folded with the Turkic casing rule.
static TURKIC: LazyLock<Vec<String>> = LazyLock::new(|| folded(Casing::Turkic));

fn folded(casing: Casing) -> Vec<String> {
    let mut courtesies: Vec<String> =
        COURTESIES.iter().map(|courtesy| without_accents(&fold(courtesy, casing))).collect();
    courtesies.sort_unstable_by_key(|courtesy| std::cmp::Reverse(courtesy.len()));
    courtesies
}

/// Whether `is_word` is true for a text after removing up to three courtesies from each end. The text must be folded, without
/// accents.
pub(super) fn matches_without_courtesies(text: &str, casing: Casing, is_word: impl Fn(&str) -> bool) -> bool {
    let courtesies: &[String] = match casing {
        Casing::Default => &DEFAULT,
        Casing::Turkic => &TURKIC,
    };
    // Try every combination, because a word may itself begin or end with a courtesy.
    drops(text, |text| without_first(text, courtesies))
        .any(|text| drops(text, |text| without_last(text, courtesies)).any(&is_word))
}

fn drops<'a>(text: &'a str, drop: impl Fn(&'a str) -> Option<&'a str>) -> impl Iterator<Item = &'a str> {
    iter::successors(Some(text), move |text| drop(text)).take(MOST + 1)
}

fn without_first<'a>(text: &'a str, courtesies: &[String]) -> Option<&'a str> {
    let rest = courtesies.iter().find_map(|courtesy| {
        let rest = text.strip_prefix(courtesy.as_str())?;
        (!rest.starts_with(|next| is_of_word(next) || is_mark(next))).then_some(rest)
    })?;
    Some(inner(rest))
}

fn without_last<'a>(text: &'a str, courtesies: &[String]) -> Option<&'a str> {
    let rest = courtesies.iter().find_map(|courtesy| {
        let rest = text.strip_suffix(courtesy.as_str())?;
        (!rest.ends_with(|last| is_of_word(last) || is_mark(last))).then_some(rest)
    })?;
    Some(inner(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_stop(text: &str) -> bool {
        let folded = without_accents(&fold(text, Casing::Default));
        matches_without_courtesies(&folded, Casing::Default, |word| word == "stop")
    }

    #[test]
    fn courtesies_at_either_end_do_not_matter() {
        for text in [
            "stop",
            "STOP please",
            "Please, STOP!",
            "Please stop, thank you very much",
            "thanks. please stop",
            "stop pls pls pls",
            "stop,thx",
            "stop 🙏 merci",
            "Stop s’il vous plaît.",
            "s'il vous plait stop",
            "stop, danke schön",
            "stop. Спасибо",
            "कृपया stop",
        ] {
            assert!(is_stop(text), "{text}");
        }
    }

    #[test]
    fn a_courtesy_is_a_word_of_its_own_and_not_in_the_middle() {
        for text in [
            "",
            "please",
            "stopplease",
            "pleasestop",
            "stop please me",
            "thankyoustop",
            "stop pls pls pls pls",
            "stop ty5",
        ] {
            assert!(!is_stop(text), "{text}");
        }
    }
}
