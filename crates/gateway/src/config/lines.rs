//! Finds the lines of settings in a TOML document.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use portcullis_edge::settings::{FieldPath, Step};

use super::schema::FILE;

/// The line of the byte at `offset`, counted from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}

/// The line of the setting at `place`, or of the innermost table around it that exists.
pub(crate) fn line_of_place(text: &str, place: &FieldPath) -> usize {
    let Ok(document) = DeTable::parse(text) else { return 1 };
    let mut offset = document.span().start;
    let mut table = Some(document.get_ref());
    let mut array: Option<&[Spanned<DeValue<'_>>]> = None;
    for step in &place.0 {
        let value = match *step {
            Step::Key(name) => {
                let named = |name: &str| table?.iter().find(|(key, _)| key.get_ref() == name);
                // Its value may be in a file.
                let found = named(name).or_else(|| named(&format!("{name}{FILE}")));
                let Some((key, value)) = found else { break };
                offset = key.span().start;
                value
            }
            Step::Index(index) => {
                let Some(value) = array.and_then(|array| array.get(index)) else { break };
                offset = value.span().start;
                value
            }
        };
        (table, array) = match value.get_ref() {
            DeValue::Table(table) => (Some(table), None),
            DeValue::Array(array) => (None, Some(array.as_ref())),
            _ => (None, None),
        };
    }
    line_of(text, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 1\n\n[[b]]\nc = [\n  5,\n  6]\n\n[[b]]\nc = []\n\n[[b.d]]\ne = 1\n";

    #[test]
    fn a_place_has_a_line() {
        let line = |place: &FieldPath| line_of_place(TEXT, place);
        let root = FieldPath::default();
        let b = root.key("b");
        assert_eq!(line(&root.key("a")), 1);
        assert_eq!(line(&b.index(0)), 3);
        assert_eq!(line(&b.index(0).key("c")), 4);
        assert_eq!(line(&b.index(0).key("c").index(1)), 6);
        assert_eq!(line(&b.index(1)), 8);
        assert_eq!(line(&b.index(1).key("d").index(0).key("e")), 12);
        // A missing setting has the line of the table that it belongs to.
        assert_eq!(line(&b.index(1).key("d").index(0).key("x")), 11);
        assert_eq!(line(&b.index(1).key("x")), 8);
    }
}
