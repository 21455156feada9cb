//! A test that the words and sources in `docs/opt-out-words.md` are those in the code.
//!
//! After a change of the lists, `PORTCULLIS_WRITE_PAGE=1 cargo test --release -p portcullis-keywords page` updates the page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::languages::{LANGUAGES, Language, OF_EVERY_LANGUAGE, Words};
use super::sources::Source;

const WORDS: [&str; 2] = ["<!-- words: written by a test -->\n", "<!-- end of words -->\n"];
const SOURCES: [&str; 2] = ["<!-- sources: written by a test -->\n", "<!-- end of sources -->\n"];

fn languages() -> impl Iterator<Item = &'static Language> {
    [&OF_EVERY_LANGUAGE].into_iter().chain(LANGUAGES)
}

fn table_of_words() -> String {
    let mut table = "\n| language | asks to | word | sources |\n| --- | --- | --- | --- |\n".to_owned();
    let mut rows = |language: &Language, wish: &str, words: Words| {
        for (word, sources) in words {
            let sources: Vec<&str> = sources.iter().map(|source| source.name).collect();
            writeln!(table, "| {} | {wish} | {word} | {} |", language.code, sources.join(", ")).unwrap();
        }
    };
    for language in languages() {
        rows(language, "stop", language.stop);
        rows(language, "start", language.start);
    }
    table.push('\n');
    table
}

fn list_of_sources() -> String {
    let words = || languages().flat_map(|language| language.stop.iter().chain(language.start));
    let sources: BTreeMap<&str, &Source> =
        words().flat_map(|(_, sources)| *sources).map(|source| (source.name, *source)).collect();
    let mut list = "\n".to_owned();
    for source in sources.values() {
        let link = source.url.map(|url| format!(": <{url}>")).unwrap_or_default();
        writeln!(list, "- **{}**: {}{link}", source.name, source.what).unwrap();
    }
    list.push('\n');
    list
}

fn with(page: &str, [begin, end]: [&str; 2], part: &str) -> String {
    let (before, rest) = page.split_once(begin).expect("the page has the opening marker");
    let (_, after) = rest.split_once(end).expect("the page has the closing marker");
    format!("{before}{begin}{part}{end}{after}")
}

#[test]
fn the_page_of_words_has_the_words_and_sources_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/opt-out-words.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let right = with(&with(&page, WORDS, &table_of_words()), SOURCES, &list_of_sources());
    if std::env::var_os("PORTCULLIS_WRITE_PAGE").is_some() {
        std::fs::write(&file, right).unwrap();
    } else {
        assert!(
            page == right,
            "docs/opt-out-words.md differs from the code: see page.rs on how to update it"
        );
    }
}
