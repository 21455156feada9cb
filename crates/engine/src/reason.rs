//! What errors say in the log: everything but what clients sent, and what plugins may have said of numbers.

use portcullis_host::{ErrorChain, ForeignText};

use crate::error::TenantError;

impl TenantError {
    /// The error and its sources on one line, for the log: bounded and escaped, without text of a client's request, without what a
    /// plugin says of an entry, and without numbers that it repeats from its options.
    pub fn reason(&self) -> String {
        match self {
            TenantError::Plugin(error) => error.reason(),
            TenantError::Start { source, .. } => after(self, source.reason()),
            TenantError::Fill { source, .. } => after(self, source.reason()),
            TenantError::Rule { source, .. } => after(self, source.reason()),
            error => ErrorChain(error).to_string(),
        }
    }
}

/// An error's own message, and then the reason of its source.
pub(crate) fn after(error: &dyn std::error::Error, source: String) -> String {
    format!("{}: {source}", ForeignText(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use portcullis_host::{CallError, FillError};
    use portcullis_plugin_store::PluginStoreError;

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
        let cause = FillError::EntryRefused { why: "four six seven".to_owned() };
        let list = ReloadError::List { list: "support".to_owned(), cause };
        assert_eq!(list.reason(), "the plugin rejected an entry, on the list support");
    }

    #[test]
    fn a_reason_has_no_text_of_a_request() {
        let error = ReloadError::Plugin(PluginStoreError::Unknown { name: "46732001122".to_owned() });
        assert!(!error.reason().contains("4673"), "{}", error.reason());
    }
}
