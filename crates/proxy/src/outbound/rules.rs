//! The rules by which requests are rejected. Tests switch them off one at a time to show that each is needed.

/// One reason to reject a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A path has only one accepted spelling.
    PathGrammar,
    /// A path doesn't name a sender or account of others.
    ForeignPath,
    /// A sender's token gives access to that sender only.
    SenderScope,
    /// A sender's token doesn't read beyond its sender through expanded fields.
    SenderFields,
    /// Modifying requests go only to known edges.
    KnownEdges,
    /// A reading request (GET or HEAD) has no body.
    NoBodyToAsk,
    /// The name of a query parameter has only one accepted spelling.
    QueryNames,
    /// A query has no parameters that turn the request into a different one.
    QueryControls,
    /// At edges that send, a query has only known parameters.
    SendingQuery,
    /// No value names a sender or account of others.
    ForeignValues,
    /// A request has one access token.
    OneCredential,
    /// No header names another method or path.
    OverrideHeaders,
    /// A body is not compressed.
    PlainBody,
    /// The type of a body is declared only once.
    OneContentType,
    /// The type of a body is declared.
    DeclaredBody,
    /// A message is declared as JSON.
    JsonMessage,
    /// A message is one JSON value with nothing after it.
    WholeJson,
    /// No member of a message is repeated.
    UniqueMembers,
    /// No member of a message resembles one that the gateway reads.
    LookalikeMembers,
    /// `to` is one string or integer.
    ScalarTo,
    /// A message to a group has a group's id.
    GroupId,
    /// `recipient` is a user id, not a number.
    UserIdShape,
    /// A template has one name.
    TemplateName,
    /// A JSON body has no parameters that turn the request into a different one.
    JsonControls,
    /// A form has no such parameters.
    FormControls,
    /// A multipart body has no such parts.
    PartNames,
    /// All parsers find the same parts in a multipart body.
    PartDelimiters,
    /// A body that isn't checked goes only to an upload.
    RawUploads,
    /// An upload without a declared type has no parameters.
    UploadParameters,
}

/// The rules in force: all of them, except for one in some tests.
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

    /// All rules except one.
    #[cfg(test)]
    pub(super) const fn without(rule: Rule) -> Self {
        Rules { without: Some(rule) }
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the version for tests needs it")]
    pub(super) const fn hold(self, _: Rule) -> bool {
        true
    }

    #[cfg(test)]
    pub(super) fn hold(self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}
