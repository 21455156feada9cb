//! Random requests to the Graph API, and a model of an upstream that reads them leniently. Shared by the tests of
//! the gate's decisions and those of the real program.

pub(crate) mod generator;
pub(crate) mod model;
pub(crate) mod seeds;

/// A sender of the requesting tenant, whose own token is [`SENDER`].
pub(crate) const OWN: &str = "106540352242922";
pub(crate) const OWN_ACCOUNT: &str = "102290129340398";
/// Another sender of the same tenant and account.
pub(crate) const SECOND: &str = "106540352242923";
/// Of another tenant.
pub(crate) const OTHER: &str = "106540352242999";
pub(crate) const OTHER_ACCOUNT: &str = "102290129340399";

pub(crate) const TENANT: &str = "acme-secret";
pub(crate) const SENDER: &str = "support-secret";

/// Blocked by the tenant.
pub(crate) const BLOCKED: &str = "16505551234";
pub(crate) const BLOCKED_USER: &str = "US.13491208655302741918";
/// Opted out of marketing.
pub(crate) const HELD: &str = "16505551236";
pub(crate) const FREE: &str = "16505551235";
pub(crate) const FREE_USER: &str = "US.13491208655302741919";
/// The name of a marketing template.
pub(crate) const PROMOTION: &str = "promo_summer";

/// A raw request.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) method: String,
    /// The path and query.
    pub(crate) target: String,
    /// In order and possibly duplicated, without those for the length of the body.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {:?} {:?} {:?}",
            self.method,
            self.target,
            self.headers,
            String::from_utf8_lossy(&self.body)
        )
    }
}

impl Raw {
    pub(crate) fn new(method: &str, target: &str, content_type: Option<&str>, body: &str) -> Self {
        let mut headers = vec![("authorization".to_owned(), format!("Bearer {TENANT}"))];
        headers.extend(content_type.map(|kind| ("content-type".to_owned(), kind.to_owned())));
        let (method, target) = (method.to_owned(), target.to_owned());
        Raw { method, target, headers, body: body.as_bytes().to_owned() }
    }

    /// Uses the sender's token.
    pub(crate) fn of_sender(mut self) -> Self {
        self.set_header("authorization", &format!("Bearer {SENDER}"));
        self
    }

    /// All values of a header.
    pub(crate) fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let is_named = move |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(is_named).map(|(_, value)| value.as_str())
    }

    pub(crate) fn set_header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }
}
