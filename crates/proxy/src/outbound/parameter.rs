//! Names of parameters in queries, forms, multipart bodies and JSON objects.
//!
//! The Graph API accepts parameters in any of these places, and it is unknown how it interprets `Batch`, `batch[]` or `ba%74ch`.
//! So each name has only one accepted spelling, and parameters with a meaning at every path are rejected, with all names that
//! resemble them.

/// Maximum length of a name, in bytes.
const MAX_NAME: usize = 64;

/// Parameters that turn a request into a different one, as [`folded`] returns them. `batch` contains complete requests
/// (<https://developers.facebook.com/docs/graph-api/batch-requests>), `method` replaces the method, and `ids` the node in the
/// path (<https://developers.facebook.com/docs/graph-api/overview>). The others are equivalents in common frameworks.
const CONTROLS: [&str; 9] = [
    "batch",
    "method",
    "ids",
    "httpmethod",
    "methodoverride",
    "httpmethodoverride",
    "xhttpmethodoverride",
    "relativeurl",
    "attachedfiles",
];
/// The query parameter for an access token.
pub(super) const TOKEN: &str = "access_token";
/// [`TOKEN`] as [`folded`] returns it.
const FOLDED_TOKEN: &str = "accesstoken";

/// Why the name of a parameter is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    #[error(
        "a parameter's name is not written plainly: use letters, digits and '_', and nothing percent-encoded, as in \
         fields=name"
    )]
    Odd,
    #[error(
        "the parameter {0} does not pass: it would make another request of this one; send that request itself"
    )]
    Control(&'static str),
    #[error(
        "an access token does not pass here: send it in the header Authorization, or as access_token in the query"
    )]
    Token,
}

/// Reduces a name to what the most lenient parser could read: only ASCII letters and digits, in lower case, without the brackets
/// at its end and their contents.
pub(super) fn folded(name: &str) -> String {
    let base = match name.find('[') {
        // `[to]` is not an array in any parser.
        Some(0) | None => name,
        Some(bracket) => &name[..bracket],
    };
    base.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect()
}

/// Whether a name has the accepted form: a letter, then letters, digits and `_`, then any number of `[word]`, as PHP and Meta's
/// samples write arrays.
pub(super) fn is_plain(name: &str) -> bool {
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let (base, brackets) = name.split_at(name.find('[').unwrap_or(name.len()));
    let mut rest = brackets;
    while let Some((word, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        if !is_word(word) {
            return false;
        }
        rest = after;
    }
    name.len() <= MAX_NAME
        && base.starts_with(|first: char| first.is_ascii_alphabetic())
        && is_word(base)
        && rest.is_empty()
}

/// Rejects names that resemble a parameter with a meaning at every path.
pub(super) fn refuse_control(name: &str) -> Result<(), NameError> {
    let control = |word: String| CONTROLS.into_iter().find(|control| *control == word);
    match words(name).find_map(control) {
        Some(control) => Err(NameError::Control(control)),
        None => Ok(()),
    }
}

/// Whether a name resembles that of the access token.
pub(super) fn is_like_token(name: &str) -> bool {
    words(name).any(|word| word == FOLDED_TOKEN)
}

/// Returns the name and the contents of its brackets, each [`folded`]: a parser that flattens arrays reads `x[batch]` as `batch`.
fn words(name: &str) -> impl Iterator<Item = String> {
    std::iter::once(folded(name)).chain(name.split(['[', ']']).skip(1).map(folded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_or_not() {
        for name in
            ["fields", "a", "is_cart_enabled", "business_documents[]", "commands[0][command_name]", "A1_"]
        {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "", "_method", "1", "b%61tch", "to ", " to", "ba.tch", "a[", "a]", "a[b", "a[b]c", "a[%62]",
            "[a]", "a\0", "é",
        ] {
            assert!(!is_plain(name), "{name}");
        }
        assert!(!is_plain(&"a".repeat(65)));
    }

    #[test]
    fn controls_are_known_in_every_spelling() {
        for name in [
            "batch",
            "Batch",
            "BATCH[]",
            "batch[0][method]",
            "_method",
            "ba_tch",
            " batch ",
            "ids",
            "http-method",
            "x[batch]",
            "a[0][Batch]",
            "a[ids",
        ] {
            assert!(matches!(refuse_control(name), Err(NameError::Control(_))), "{name}");
        }
        for name in
            ["fields", "code_method", "template_ids", "batches", "languages", "commands[0][command_name]"]
        {
            assert_eq!(refuse_control(name), Ok(()), "{name}");
        }
        assert!(is_like_token("Access-Token") && is_like_token("x[access_token]"));
    }
}
