//! The query of a request to the Graph API.
//!
//! The pairs are sent upstream as they came, so that an ordinary query arrives byte for byte. A query that an upstream could read
//! in another way is rejected.

use std::borrow::Cow;
use std::fmt;

use super::parameter::{self, NameError, TOKEN};
use super::rules::{Rule, Rules};

/// Parameters of a request that sends: the token, its proof
/// (<https://developers.facebook.com/docs/graph-api/guides/secure-requests>), and one that some clients send here in addition to
/// the body.
const SENDING: [&str; 3] = [TOKEN, "appsecret_proof", "messaging_product"];
/// Parameters of a GET of an edge that sends.
const ASKING: [&str; 8] = [TOKEN, "appsecret_proof", "fields", "limit", "after", "before", "since", "until"];
/// Parameters of a GET with a sender's token, of an id whose owner only Meta knows.
const OF_MEDIUM: [&str; 3] = [TOKEN, "appsecret_proof", OWNER];
/// The parameter that makes Meta refuse a medium of another phone number.
pub(super) const OWNER: &str = "phone_number_id";

/// Which parameters a query may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameters {
    /// Those of a request that sends.
    Sending,
    /// Those of a GET of an edge that sends.
    Asking,
    /// Those of a GET of a medium with a sender's token.
    OfMedium,
    /// All except those that turn a request into a different one.
    Harmless,
}

/// A parsed query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query<'a> {
    pairs: Vec<Pair<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Pair<'a> {
    /// The pair as received, not decoded.
    text: Cow<'a, str>,
    name: Cow<'a, str>,
    value: Cow<'a, str>,
}

/// Why a query is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    #[error("the query: {0}")]
    Name(#[from] NameError),
    #[error(
        "the query has ';', a byte that is no ASCII character, or a '%' without two hexadecimal digits: percent-encode \
         what is no letter, digit, '-', '_', '.' or '~'"
    )]
    Text,
    #[error("the query has a parameter twice: write it once")]
    Twice,
    #[error("the query of this edge may have {0} only: write everything else into the body")]
    Sending(Listed),
    #[error("a GET of this edge may have {0} in its query only: leave out everything else")]
    Asking(Listed),
    #[error(
        "this token is for one sender, and whose the id in the path is only Meta knows: a GET of a medium passes, with at most \
         phone_number_id, that of the sender, in its query; anything else needs a token of the tenant"
    )]
    OfMedium,
}

/// Names for an error message, separated by commas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed(&'static [&'static str]);

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl<'a> Query<'a> {
    /// Parses and checks a query. `None` stands for an empty one.
    pub(super) fn parse(text: Option<&'a str>, may: Parameters, rules: Rules) -> Result<Self, QueryError> {
        let mut pairs: Vec<Pair<'a>> = Vec::new();
        // Empty pairs are not forwarded.
        for text in text.unwrap_or_default().split('&').filter(|text| !text.is_empty()) {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            let pair = if rules.hold(Rule::QueryNames) {
                let name = decoded(name).filter(|name| parameter::is_plain(name)).ok_or(NameError::Odd)?;
                Pair { text: Cow::Borrowed(text), name, value: decoded(value).ok_or(QueryError::Text)? }
            } else {
                Pair {
                    text: Cow::Borrowed(text),
                    name: Cow::Borrowed(name),
                    value: decoded(value).unwrap_or_default(),
                }
            };
            check(&pair.name, may, rules)?;
            if rules.hold(Rule::OneCredential) {
                if parameter::is_like_token(&pair.name) && pair.name != TOKEN {
                    return Err(NameError::Odd.into());
                }
                if pairs.iter().any(|other| is_same(&other.name, &pair.name)) {
                    return Err(QueryError::Twice);
                }
            }
            pairs.push(pair);
        }
        Ok(Query { pairs })
    }

    /// Returns the first value of a parameter.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|pair| pair.name == name).map(|pair| &*pair.value)
    }

    /// Returns all values.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|pair| &*pair.value)
    }

    /// Returns the query to send upstream, with or without the client's token.
    pub(super) fn onward(&self, with_token: bool) -> String {
        let pairs = self.pairs.iter().filter(|pair| with_token || pair.name != TOKEN);
        pairs.map(|pair| &*pair.text).collect::<Vec<_>>().join("&")
    }

    /// Returns the value of a parameter, after adding it if it is missing. `value` must not need percent-encoding.
    pub(super) fn get_or_insert(&mut self, name: &'static str, value: &str) -> &str {
        let at = self.pairs.iter().position(|pair| pair.name == name).unwrap_or_else(|| {
            let text = Cow::Owned(format!("{name}={value}"));
            self.pairs.push(Pair { text, name: Cow::Borrowed(name), value: Cow::Owned(value.to_owned()) });
            self.pairs.len() - 1
        });
        &self.pairs[at].value
    }
}

/// Whether some parser could read two names as the same. Elements of arrays may differ in their brackets.
fn is_same(one: &str, other: &str) -> bool {
    one == other || (!one.contains('[') && parameter::folded(one) == parameter::folded(other))
}

fn check(name: &str, may: Parameters, rules: Rules) -> Result<(), QueryError> {
    match may {
        Parameters::Sending | Parameters::Asking if !rules.hold(Rule::SendingQuery) => Ok(()),
        Parameters::Sending if SENDING.contains(&name) => Ok(()),
        Parameters::Sending => Err(QueryError::Sending(Listed(&SENDING))),
        Parameters::Asking if ASKING.contains(&name) => Ok(()),
        Parameters::Asking => Err(QueryError::Asking(Listed(&ASKING))),
        Parameters::OfMedium if OF_MEDIUM.contains(&name) => Ok(()),
        Parameters::OfMedium => Err(QueryError::OfMedium),
        Parameters::Harmless if !rules.hold(Rule::QueryControls) => Ok(()),
        Parameters::Harmless => Ok(parameter::refuse_control(name)?),
    }
}

/// Percent-decodes a value; `None` if it has more than one interpretation.
pub(super) fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.is_ascii() || text.contains(';') {
        return None;
    }
    let bytes = text.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let is_encoded = |(at, byte): (usize, &u8)| *byte != b'%' || (is_hex(at + 1) && is_hex(at + 2));
    if !bytes.iter().enumerate().all(is_encoded) {
        return None;
    }
    // Invalid UTF-8 is accepted: a value may have another encoding.
    let value = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    (!value.contains('\0')).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, may: Parameters) -> Result<String, QueryError> {
        Query::parse(Some(text), may, Rules::ALL).map(|query| query.onward(true))
    }

    #[test]
    fn ordinary_queries_go_on_to_the_byte() {
        for text in [
            "limit=3&name=a%20b",
            "fields=name,status&status=approved",
            "fields=pricing_analytics.start(1748761200).end(1748847600).granularity(DAILY)",
            "filtering=[{%22field%22%3A%22partners%22}]&access_token=x",
            "code_method=SMS&language=en_US",
            "override_callback_uri=https://a.example/x?y=z",
            "fields",
            "about=caf%E9",
            "template_ids%5B%5D=1",
            "commands[0][command_name]=a&commands[1][command_name]=b",
        ] {
            assert_eq!(read(text, Parameters::Harmless).as_deref(), Ok(text));
        }
        assert_eq!(
            read("&fields=name&&limit=1&", Parameters::Harmless).as_deref(),
            Ok("fields=name&limit=1")
        );
        assert_eq!(Query::parse(None, Parameters::Sending, Rules::ALL), Ok(Query { pairs: Vec::new() }));
    }

    #[test]
    fn a_token_of_the_gateway_s_takes_the_place_of_the_client_s() {
        let query = Query::parse(Some("a=1&access_token=x&b=2"), Parameters::Harmless, Rules::ALL).unwrap();
        assert_eq!(
            (query.onward(true).as_str(), query.onward(false).as_str()),
            ("a=1&access_token=x&b=2", "a=1&b=2")
        );
        assert_eq!(query.value(TOKEN), Some("x"));
    }

    #[test]
    fn a_parameter_that_is_not_there_is_put_there() {
        let mut query = Query::parse(Some("access_token=x"), Parameters::OfMedium, Rules::ALL).unwrap();
        assert_eq!(query.get_or_insert(OWNER, "1"), "1");
        assert_eq!(query.get_or_insert(OWNER, "2"), "1");
        assert_eq!(query.onward(false), "phone_number_id=1");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_no_query() {
        use QueryError as E;
        for (text, error) in [
            ("a=1&a=2", E::Twice),
            ("a=1&A=2", E::Twice),
            ("a=1;batch=x", E::Text),
            ("a=%zz", E::Text),
            ("a=%0", E::Text),
            ("a=%00", E::Text),
            ("b%61tch=x", E::Name(NameError::Control("batch"))),
            ("b%2561tch=x", E::Name(NameError::Odd)),
            ("%20batch=x", E::Name(NameError::Odd)),
            ("+batch=x", E::Name(NameError::Odd)),
            ("=x", E::Name(NameError::Odd)),
            ("Access_Token=x", E::Name(NameError::Odd)),
            ("batch=[]", E::Name(NameError::Control("batch"))),
            ("Batch[]=1", E::Name(NameError::Control("batch"))),
            ("METHOD=post", E::Name(NameError::Control("method"))),
            ("ids=1,2", E::Name(NameError::Control("ids"))),
        ] {
            assert_eq!(read(text, Parameters::Harmless), Err(error), "{text}");
        }
    }

    #[test]
    fn edges_that_send_have_known_parameters_only() {
        assert!(read("access_token=x&messaging_product=whatsapp", Parameters::Sending).is_ok());
        for name in [
            "to",
            "To",
            "to[]",
            "recipient",
            "recipient_type",
            "template",
            "type",
            "method",
            "batch",
            "fields",
        ] {
            let text = format!("{name}=1");
            assert_eq!(
                read(&text, Parameters::Sending),
                Err(QueryError::Sending(Listed(&SENDING))),
                "{text}"
            );
            if name != "fields" {
                assert_eq!(
                    read(&text, Parameters::Asking),
                    Err(QueryError::Asking(Listed(&ASKING))),
                    "{text}"
                );
            }
        }
    }
}
