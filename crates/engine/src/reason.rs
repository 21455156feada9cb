//! What errors say in the log: everything but what clients sent, and what plugins may have said of numbers.

use portcullis_host::{CallError, ErrorChain, FillError, ForeignText};
use portcullis_plugin_store::PluginStoreError;

use crate::error::TenantError;

/// Text with as many digits may be a telephone number.
const DIGITS_OF_A_NUMBER: usize = 7;

impl TenantError {
    /// The error and its sources on one line, for the log: bounded and escaped, without text of a client's request, without what a
    /// plugin says of an entry, and without numbers that it repeats from its options.
    pub fn reason(&self) -> String {
        match self {
            TenantError::Plugin(error) => of_store(error),
            TenantError::Start { source, .. } => after(self, of_call(source)),
            TenantError::Fill { source, .. } => after(self, of_fill(source)),
            TenantError::Rule { source, .. } => after(self, source.reason()),
            error => ErrorChain(error).to_string(),
        }
    }
}

/// Why a plugin can't be filled.
pub(crate) fn of_fill(error: &FillError) -> String {
    match error {
        FillError::Plugin(error) => of_call(error),
        // The plugin knows the entry, and maybe its number.
        FillError::EntryRefused { .. } => "the plugin rejected an entry".to_owned(),
        error => ErrorChain(error).to_string(),
    }
}

pub(crate) fn of_call(error: &CallError) -> String {
    match error {
        // Its options may contain numbers.
        CallError::Refused(words) => ErrorChain(&CallError::Refused(without_numbers(words))).to_string(),
        error => ErrorChain(error).to_string(),
    }
}

pub(crate) fn of_store(error: &PluginStoreError) -> String {
    match error {
        // They quote the request.
        PluginStoreError::Unknown { .. }
        | PluginStoreError::Name { .. }
        | PluginStoreError::NoVersion { .. }
        | PluginStoreError::UnknownVersion { .. }
        | PluginStoreError::Ambiguous { .. } => {
            "there is no such plugin, or not this version of it: ask for the plugin's status".to_owned()
        }
        error => ErrorChain(error).to_string(),
    }
}

/// An error's own message, and then the reason of its source.
pub(crate) fn after(error: &dyn std::error::Error, source: String) -> String {
    format!("{}: {source}", ForeignText(&error.to_string()))
}

/// Replaces whatever has as many digits as a telephone number, also with separators between them.
fn without_numbers(words: &str) -> String {
    let is_between = |c: char| matches!(c, ' ' | '-' | '.' | '/' | '(' | ')');
    let mut shown = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(start) = rest.find(char::is_numeric) {
        let (before, from) = rest.split_at(start);
        shown.push_str(before);
        let length = from.find(|c: char| !c.is_numeric() && !is_between(c)).unwrap_or(from.len());
        let run = from[..length].trim_end_matches(is_between);
        match run.chars().filter(|c| c.is_numeric()).count() < DIGITS_OF_A_NUMBER {
            true => shown.push_str(run),
            false => shown.push('…'),
        }
        rest = &from[run.len()..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reload::ReloadError;

    #[test]
    fn a_reason_has_the_plugins_words_without_numbers() {
        let refused = |words: &str| CallError::Refused(words.to_owned());
        let start =
            |words: &str| TenantError::Start { plugin: "mine".to_owned(), source: refused(words) }.reason();
        assert_eq!(
            start("no lists of more than 100 entries\n"),
            r"the plugin mine can't be started: refused by the plugin: no lists of more than 100 entries\n"
        );
        for number in ["+46732001122", "46 (732) 00-11.22", "٤٦٧٣٢٠٠١١٢٢"] {
            let words = format!("{number} is no prefix");
            let shown = start(&words);
            assert!(shown.ends_with("… is no prefix") && !shown.contains(number), "{shown}");
        }
        let source = FillError::EntryRefused { why: "four six seven".to_owned() };
        let list = ReloadError::List { list: "support".to_owned(), source };
        assert_eq!(list.reason(), "the plugin rejected an entry, on the list support");
    }

    #[test]
    fn a_reason_has_no_text_of_a_request() {
        let error = ReloadError::Plugin(PluginStoreError::Unknown { name: "46732001122".to_owned() });
        assert!(!error.reason().contains("4673"), "{}", error.reason());
    }
}
