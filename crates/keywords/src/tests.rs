//! Which texts are recognized, and which are not.

use proptest::prelude::*;

use super::fold::surroundings;
use super::*;

fn keywords(languages: &[&str], stop: &[&str], start: &[&str]) -> Keywords {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let settings =
        OptOut { languages: owned(languages), stop: owned(stop), start: owned(start), ..OptOut::default() };
    Keywords::of(&settings).unwrap()
}

fn all_languages() -> Vec<&'static str> {
    LANGUAGES.iter().map(|language| language.code).collect()
}

#[test]
fn stop_is_heard_as_people_write_it() {
    let words = keywords(&["en", "fr"], &[], &[]);
    for text in [
        "STOP",
        " stop\n",
        "STOP.",
        "STOP!",
        "STOP?",
        "Stop. Thank you",
        "\"STOP\"",
        "“Stop”",
        "(stop)",
        "*STOP*",
        "STOP\u{200b}",
        "\u{200e}STOP",
        "STOP\u{fe0f}",
        "S\u{ad}TOP",
        "\u{feff}STOP\0",
        "🛑 STOP 🛑\u{fe0f}",
        "Opt out.",
        "opt\u{a0}out",
        "opt  out",
        "opt\tout",
        "Opt‑Out",
        "ＳＴＯＰ",
        "Arrêt",
        "Arre\u{302}t",
        "ARRÊT",
        "ARRET",
        "STOP ALL",
        "StopAll!",
        "please opt me out",
        "STOP please",
        "Please stop.",
        "PLEASE CANCEL",
        "stop, thanks!",
        "Stop, merci",
        "Unsubscribe\n\nSent from my phone",
        "STOP\r\n-- \r\nJane Doe, +1 650 555 1234",
        "Stop! I have asked twice.",
        "Please stop. I do not want these any more.",
    ] {
        assert_eq!(words.wish(text), Some(Intent::Stop), "{text:?}");
    }
}

#[test]
fn a_sentence_that_has_the_word_asks_for_nothing() {
    let words = keywords(&all_languages(), &[], &[]);
    for text in [
        "",
        " ",
        "!!!",
        "🛑",
        "\u{640}",
        "stop sending me invoices, call me",
        "stop by tomorrow",
        "STOP 12345",
        "STOP: 12345",
        "STOP. 12345",
        "STOP5",
        "START 0",
        "START 1",
        "STOP DND",
        "STOP ads",
        "stop it",
        "Stop? Why would I",
        "don't stop",
        "Hello. Stop",
        "non-stop",
        "nonstop",
        "please",
        "thank you",
        "Please. Thank you",
        "cancel my order",
        "the end",
        "end.example",
        "quit.example/12",
        "vou sair para almoçar",
        "please start stop",
        "yes",
        "no",
        "resume",
        "contact",
    ] {
        assert_eq!(words.wish(text), None, "{text:?}");
    }
}

#[test]
fn start_is_the_word_alone() {
    let words = keywords(&["en", "fr"], &[], &["OK_GO"]);
    for text in [
        "START",
        "start.",
        "\"Start!\"",
        "\u{200e}start",
        "Unstop",
        "ＳＴＡＲＴ",
        "opt\u{a0}in",
        "reprendre",
        "ok_go",
    ] {
        assert_eq!(words.wish(text), Some(Intent::Start), "{text:?}");
    }
    for text in
        ["start please", "please start", "START. Thank you", "start\n-- \nJane", "ok go", "stárt", "yes"]
    {
        assert_eq!(words.wish(text), None, "{text:?}");
    }
}

#[test]
fn a_tenant_s_own_words_are_heard_in_turkish_too() {
    for own in [["İPTAL", "BIRAK"], ["iptal", "bırak"]] {
        let words = keywords(&["en"], &own, &["BAŞLATIN"]);
        for text in [
            "İPTAL",
            "I\u{307}ptal",
            "iptal!",
            "IPTAL",
            "BIRAK",
            "bırak",
            "Bırak. Teşekkürler",
            "LÜTFEN BIRAK",
        ] {
            assert_eq!(words.wish(text), Some(Intent::Stop), "{own:?}: {text}");
        }
        for text in ["BAŞLATIN", "başlatın"] {
            assert_eq!(words.wish(text), Some(Intent::Start), "{text}");
        }
        assert_eq!(words.wish("baslatin"), None, "accents count in words that opt in");
    }
    let turkish = keywords(&["tr"], &[], &[]);
    for text in [
        "RET",
        "STOP",
        "ABONELİKTEN ÇIK",
        "abonelikten çık",
        "Abonelikten cik",
        "ABONELIKTEN CIK",
        "Lütfen dur",
    ] {
        assert_eq!(turkish.wish(text), Some(Intent::Stop), "{text}");
    }
}

#[test]
fn a_tenant_s_own_words_are_heard_as_they_are_typed() {
    let words = keywords(
        &[],
        &["No More!", "don't write", "C++", "Stop"],
        &["Stop. Not really", "stop", "Ok, cancel"],
    );
    for text in ["no more", "NO  MORE", "Don’t write.", "c", "No more, please", "STOP", "Stop. Please"] {
        assert_eq!(words.wish(text), Some(Intent::Stop), "{text}");
    }
    for text in ["stop. not really", "OK, CANCEL"] {
        assert_eq!(
            words.wish(text),
            Some(Intent::Start),
            "an own word takes precedence over courtesies and sentences: {text}"
        );
    }
}

#[test]
fn a_tenant_may_have_no_words() {
    let none = keywords(&[], &[], &[]);
    for text in ["", "STOP", "START", "!"] {
        assert_eq!(none.wish(text), None, "{text}");
    }
}

#[test]
fn an_unknown_language_or_a_word_that_no_text_matches_is_refused() {
    let settings = OptOut {
        languages: vec!["en".to_owned(), "tlh".to_owned()],
        stop: vec!["NO MORE".to_owned(), "!!!".to_owned(), "\u{640}".to_owned()],
        start: vec![String::new(), "a".repeat(LONGEST + 1), "a".repeat(LONGEST)],
        ..OptOut::default()
    };
    let bad: Vec<_> = Keywords::of(&settings)
        .unwrap_err()
        .into_iter()
        .map(|InvalidSetting { list, index, error }| (list, index, error))
        .collect();
    assert_eq!(
        bad,
        [
            ("languages", 1, SettingError::UnknownLanguage),
            ("stop", 1, SettingError::Nothing),
            ("stop", 2, SettingError::Nothing),
            ("start", 0, SettingError::Nothing),
            ("start", 1, SettingError::TooLong),
        ]
    );
}

#[test]
fn every_word_is_heard_in_its_language_and_beside_all_others() {
    let all = keywords(&all_languages(), &[], &[]);
    for language in LANGUAGES {
        let words = keywords(&[language.code], &[], &[]);
        for (list, wish) in [
            (OF_EVERY_LANGUAGE.stop, Intent::Stop),
            (language.stop, Intent::Stop),
            (OF_EVERY_LANGUAGE.start, Intent::Start),
            (language.start, Intent::Start),
        ] {
            for (word, _) in list {
                assert_eq!(words.wish(word), Some(wish), "{}: {word}", language.code);
                assert_eq!(all.wish(word), Some(wish), "{word}");
            }
        }
    }
}

#[test]
fn what_carriers_and_vendors_require_is_heard() {
    let words = keywords(&["en"], &[], &[]);
    for (who, required) in [
        ("CTIA", &["stop", "end", "unsubscribe", "cancel", "quit", "please opt me out"][..]),
        ("FCC", &["stop", "quit", "end", "revoke", "opt out", "cancel", "unsubscribe"]),
        ("CWTA, by Infobip", &["STOP", "ARRET"]),
        (
            "AWS",
            &["ARRET", "CANCEL", "END", "OPT-OUT", "OPTOUT", "QUIT", "REMOVE", "STOP", "TD", "UNSUBSCRIBE"],
        ),
        ("Twilio", &["STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"]),
        (
            "Twilio Proxy",
            &["STOP", "UNSUBSCRIBE", "END", "CANCEL", "QUIT", "STOPALL", "ARRETT", "ARRET", "ARRETE"],
        ),
        ("Telnyx", &["STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"]),
        ("Plivo", &["STOP", "END", "QUIT", "CANCEL", "UNSUBSCRIBE", "UNSUB", "STOP ALL"]),
        ("Sinch", &["stop", "unsubscribe", "cancel", "end", "quit", "revoke", "opt-out", "optout"]),
        ("Adobe, for Infobip", &["STOP", "QUIT", "CANCEL", "END", "UNSUBSCRIBE"]),
        ("Bird", &["stop", "stopall", "end", "quit", "cancel", "unsubscribe"]),
        ("Concepts2Code", &["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REMOVE"]),
    ] {
        for word in required {
            assert_eq!(words.wish(word), Some(Intent::Stop), "{who}: {word}");
        }
    }
    for (language, word) in [
        ("fr", "ARRET"),
        ("de", "HALT"),
        ("es", "DETENER"),
        ("pt", "PARAR"),
        ("it", "FERMA"),
        ("ru", "ОСТАНОВИТЬ"),
        ("pl", "ZATRZYMAJ"),
        ("nb", "UNSUB"),
        ("no", "UNSUB"),
    ] {
        assert_eq!(keywords(&[language], &[], &[]).wish(word), Some(Intent::Stop), "Bird, Brevo: {word}");
    }
    for word in ["START", "UNSTOP", "NONARRET"] {
        assert_eq!(words.wish(word), Some(Intent::Start), "toll-free numbers: {word}");
    }
}

/// The words of version 0.1.0: language, opt-out words, opt-in words.
const BEFORE: &[(&str, &[&str], &[&str])] = &[
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

#[test]
fn no_word_that_was_heard_before_is_forgotten() {
    for (language, stop, start) in BEFORE {
        let words = keywords(&[language], &[], &[]);
        assert!(stop.iter().all(|word| words.wish(word) == Some(Intent::Stop)), "{language}");
        assert!(start.iter().all(|word| words.wish(word) == Some(Intent::Start)), "{language}");
    }
}

#[test]
fn the_description_of_the_setting_names_every_language() {
    let schema = serde_json::to_value(schemars::schema_for!(OptOut)).unwrap();
    let description = schema["properties"]["languages"]["description"].as_str().unwrap();
    let listed = description.split_once("of ").unwrap().1.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(listed, format!("{}.", known()));
}

#[test]
fn a_long_text_is_heard_by_its_first_sentence_alone() {
    let words = keywords(&["en"], &[], &[]);
    let long = "and so on, ".repeat(200_000);
    assert_eq!(words.wish(&format!("STOP\n{long}")), Some(Intent::Stop));
    assert_eq!(
        words.wish(&format!("{}STOP{}", " ".repeat(100_000), "\n".repeat(100_000))),
        Some(Intent::Stop)
    );
    for text in
        [long.clone(), format!("{long}\nSTOP"), format!("STOP {long}."), "stop please ".repeat(10_000)]
    {
        assert_eq!(words.wish(&text), None);
    }
    let padded = |count: usize| format!("STOP{}!", "!".repeat(count - 5));
    assert_eq!(words.wish(&padded(LONGEST)), Some(Intent::Stop));
}

/// Generates a word of any list, with its language and what it asks for.
fn any_word() -> impl Strategy<Value = (&'static str, &'static str, Intent)> {
    let words: Vec<_> = LANGUAGES
        .iter()
        .flat_map(|language| {
            let of = |words: languages::Words, wish| {
                words.iter().map(move |(word, _)| (language.code, *word, wish))
            };
            of(OF_EVERY_LANGUAGE.stop, Intent::Stop)
                .chain(of(OF_EVERY_LANGUAGE.start, Intent::Start))
                .chain(of(language.stop, Intent::Stop))
                .chain(of(language.start, Intent::Start))
        })
        .collect();
    proptest::sample::select(words)
}

/// Spells a word in one of the ways in which people type it. `choices` has bits for each character.
fn typed(language: &str, word: &str, choices: &[u8]) -> String {
    let is_turkic = LANGUAGES.iter().any(|known| known.code == language && known.is_turkic());
    let mut typed = String::new();
    for (character, choice) in word.chars().zip(choices.iter().cycle()) {
        match character {
            ' ' => typed.push_str(["  ", "\u{a0}", "\t", " \u{2009}"][usize::from(choice % 4)]),
            'i' if is_turkic && choice & 1 == 1 => typed.push('İ'),
            _ if choice & 1 == 1 => typed.extend(character.to_uppercase()),
            // Full-width forms have a constant offset from ASCII.
            'a'..='z' if choice & 2 == 2 => typed.extend(char::from_u32(u32::from(character) + 0xfee0)),
            _ => typed.push(character),
        }
        if choice & 4 == 4 {
            typed.push(['\u{200b}', '\u{200e}', '\u{fe0f}', '\u{ad}'][usize::from(choice / 8 % 4)]);
        }
    }
    typed
}

proptest! {
    #[test]
    fn a_word_is_heard_however_it_is_typed(
        (language, word, wish) in any_word(),
        choices in proptest::collection::vec(any::<u8>(), 1..20),
        before in surroundings(),
        after in surroundings(),
    ) {
        let words = keywords(&[language], &[], &[]);
        let text = format!("{before}{}{after}", typed(language, word, &choices));
        prop_assert_eq!(words.wish(&text), Some(wish), "{:?}", text);
    }

    #[test]
    fn a_word_among_others_is_not_heard(
        (_, word, _) in any_word(),
        // No courtesy or word begins with xq.
        text in "(xq[a-z]{0,5} ){1,2}@|@[,:;?/-]?( xq[a-z]{0,5}| [0-9]{1,3}){1,2}|xq @[.!]? xq",
    ) {
        let words = keywords(&all_languages(), &[], &[]);
        let text = text.replace('@', word);
        prop_assert_eq!(words.wish(&text), None, "{:?}", text);
    }

    #[test]
    fn a_stop_is_heard_beside_courtesies_and_before_a_sentence(
        (language, word, wish) in any_word(),
        please in "(please |Pls, |Merci, |kindly, please )?",
        thanks in "( please|, thx|\\. Thank you|\n-- \nJane|! I mean it 100%|… bye)",
    ) {
        let words = keywords(&[language], &[], &[]);
        let expected = (wish == Intent::Stop).then_some(Intent::Stop);
        prop_assert_eq!(words.wish(&format!("{please}{word}{thanks}")), expected);
    }

    #[test]
    fn any_text_has_an_answer(text in any::<String>()) {
        let words = keywords(&all_languages(), &["İPTAL"], &[]);
        let _ = words.wish(&text);
    }
}
