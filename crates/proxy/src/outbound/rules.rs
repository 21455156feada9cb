//! The rules of the gate, which its tests switch off one at a time to show that each is needed.

/// One reason to refuse a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A path has one spelling only.
    PathGrammar,
    /// A path names no sender or account of others.
    ForeignPath,
    /// A sender's token reaches that sender only.
    SenderScope,
    /// A sender's token doesn't read beyond its sender through an expansion of fields.
    SenderFields,
    /// What changes something passes at known edges only.
    KnownEdges,
    /// A request that asks has no body.
    NoBodyToAsk,
    /// The name of a parameter of the query has one spelling only.
    QueryNames,
    /// Parameters that make another request of one don't pass in a query.
    QueryControls,
    /// At edges that send, a query has known parameters only.
    SendingQuery,
    /// No value names a sender or account of others.
    ForeignValues,
    /// A request has one access token.
    OneCredential,
    /// No header names another method or path.
    OverrideHeaders,
    /// A body is not compressed.
    PlainBody,
    /// A body is declared once.
    OneContentType,
    /// A body is declared.
    DeclaredBody,
    /// A message is JSON.
    JsonMessage,
    /// A message is one JSON value, and nothing after it.
    WholeJson,
    /// A member of a message stands once.
    UniqueMembers,
    /// No member of a message looks like one that is read.
    LookalikeMembers,
    /// A message's `to` is one text or integer.
    ScalarTo,
    /// A message for a group has a group's id.
    GroupId,
    /// `recipient` is a person's id, and no number.
    UserIdShape,
    /// A template has one name.
    TemplateName,
    /// Parameters that make another request of one don't pass in a JSON body.
    JsonControls,
    /// Nor in a form.
    FormControls,
    /// Nor as a part of a multipart body.
    PartNames,
    /// A multipart body has one reading.
    PartDelimiters,
    /// A body that isn't looked into goes to an upload only.
    RawUploads,
    /// An upload whose type isn't declared has no parameters.
    UploadParameters,
}

/// Which rules hold: all of them, but for one in a test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    #[cfg(test)]
    without: Option<Rule>,
}

impl Rules {
    pub(super) const ALL: Rules = Rules {
        #[cfg(test)]
        without: None,
    };

    #[cfg(test)]
    pub(super) const fn without(rule: Rule) -> Self {
        Rules { without: Some(rule) }
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the tests' own one has rules that don't hold")]
    pub(super) const fn hold(self, _: Rule) -> bool {
        true
    }

    #[cfg(test)]
    pub(super) fn hold(self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}
