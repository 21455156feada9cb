//! A client of the gateway's native API.

use std::fmt;
use std::io::Read as _;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_api::{
    BlockRequest, CheckManyAnswer, CheckRequest, EntryAnswer, ErrorBody, ErrorCode, ErrorObject,
    ExchangeRequest, FleetAnswer, HealthAnswer, MasterKeyAnswer, MetersAnswer, NewTokenAnswer,
    NewTokenRequest, NumberText, PageAnswer, PluginPutAnswer, PluginRemovedAnswer, PluginStatus,
    PluginsAnswer, RecordingAnswer, RemovedAnswer, RotatedAnswer, RuleExchangeRequest, SIGNATURE_HEADER,
    TenantAnswer, TenantsAnswer, TokensAnswer, TrailAnswer, UnblockRequest, WriteAnswer,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use ureq::http::uri::{Authority, Scheme};
use ureq::http::{HeaderValue, Response, StatusCode, Uri, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy, Timeout};

use super::entries::Status;
use super::foreign_text::ForeignText;

/// Connect timeout.
const CONNECT: Duration = Duration::from_secs(10);
/// Response timeout. The slowest requests are batches of 10,000 writes, all of which are on disk
/// before the gateway responds.
const ANSWER: Duration = Duration::from_secs(120);
/// The longest response that is read, in bytes. A page of [`PAGE`] entries with the longest reasons
/// takes about a fifth of it.
const LONGEST_ANSWER: u64 = 32 << 20;

/// Where tenants are.
const TENANTS: &str = "/portcullis/v1/admin/tenants";

/// The most numbers that the gateway accepts in one request.
pub(super) const MOST_NUMBERS: usize = 10_000;
/// Entries per page: few enough for a response of some hundred KiB, enough to list quickly.
const PAGE: u32 = 2_000;

/// The characters to escape in a path segment (RFC 3986, section 3.3): all but the unreserved ones.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The base URL of a gateway: scheme, host and an optional path, without a trailing slash.
#[derive(Clone, Debug)]
pub(super) struct BaseUrl {
    url: String,
    /// Whether the host is the loopback interface.
    here: bool,
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url: Uri =
            text.trim().parse().map_err(|error| format!("{error}; write it like http://host:8480"))?;
        if ![Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&url.scheme()) {
            return Err("must start with http:// or https://".to_owned());
        }
        // User info and query may contain secrets, and the URL is part of error messages.
        if url.authority().map(Authority::as_str).is_some_and(|authority| authority.contains('@')) {
            return Err("must not contain a user name or password; use --token instead".to_owned());
        }
        if url.query().is_some() {
            return Err("must not contain a query (`?`)".to_owned());
        }
        let host = url.host().unwrap_or_default();
        let here = host == "localhost" || host.starts_with("127.") || host == "[::1]";
        Ok(BaseUrl { url: url.to_string().trim_end_matches('/').to_owned(), here })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// A bearer token. It implements neither `Display` nor `Debug`, so that it can't leak into messages.
#[derive(Clone)]
pub(super) struct Token(String);

impl From<String> for Token {
    fn from(token: String) -> Self {
        Token(token)
    }
}

/// One of the tenant's blacklists.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Sender(String),
    TenantWide,
}

impl Target {
    /// The path of a resource of the list, such as `entries`.
    fn path(&self, what: &str) -> String {
        match self {
            Target::Sender(id) => format!("/portcullis/v1/senders/{}/{what}", segment(id)),
            Target::TenantWide => format!("/portcullis/v1/tenant/{what}"),
        }
    }
}

/// Escapes a name as a path segment. `.` and `..` are escaped as well, because URL parsers resolve them.
fn segment(name: &str) -> String {
    match name {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        name => utf8_percent_encode(name, SEGMENT).to_string(),
    }
}

/// A connection to a gateway, with the token to send.
pub(super) struct Client {
    agent: Agent,
    base: BaseUrl,
    authorization: HeaderValue,
    /// The option and the variable that set the token.
    token_from: &'static str,
}

impl Client {
    pub(super) fn new(base: BaseUrl, token: Option<&Token>) -> Result<Self, Error> {
        let token = token.map(|Token(token)| token.trim()).filter(|token| !token.is_empty());
        let token = token.ok_or(Error::NoToken)?;
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| Error::TokenCharacters)?;
        authorization.set_sensitive(true);
        let agent = agent(&base);
        Ok(Client { agent, base, authorization, token_from: "--token, PORTCULLIS_TOKEN" })
    }

    /// A client that sends the administrator's token.
    pub(super) fn of_administrator(base: BaseUrl, token: Option<&Token>) -> Result<Self, Error> {
        match Client::new(base, token) {
            Ok(client) => Ok(Client { token_from: "--admin-token, PORTCULLIS_ADMIN_TOKEN", ..client }),
            Err(Error::NoToken) => Err(Error::NoAdminToken),
            Err(error) => Err(error),
        }
    }

    /// Checks up to [`MOST_NUMBERS`] numbers. An invalid number fails the whole request.
    pub(super) fn check(
        &self,
        target: &Target,
        numbers: &[&str],
        message: CheckRequest<'_>,
    ) -> Result<CheckManyAnswer<'static>, Error> {
        let request = self.agent.post(self.url(target, "check"));
        let numbers = numbers.iter().map(|&number| NumberText::from(number)).collect();
        self.send(request, &CheckRequest { number: None, numbers: Some(numbers), ..message })
    }

    /// Blocks up to [`MOST_NUMBERS`] numbers.
    pub(super) fn block(&self, target: &Target, body: &BlockRequest<'_>) -> Result<WriteAnswer, Error> {
        self.send(self.agent.post(self.url(target, "entries")), body)
    }

    /// Unblocks up to [`MOST_NUMBERS`] numbers.
    pub(super) fn unblock(&self, target: &Target, body: &UnblockRequest<'_>) -> Result<WriteAnswer, Error> {
        self.send(self.agent.delete(self.url(target, "entries")).force_send_body(), body)
    }

    /// Lists all entries, page by page.
    pub(super) fn pages<'a>(
        &'a self,
        target: &'a Target,
        status: Status,
    ) -> impl Iterator<Item = Result<Vec<EntryAnswer>, Error>> + 'a {
        let url = self.url(target, "entries");
        let mut cursor = Some(None);
        std::iter::from_fn(move || {
            let after: Option<String> = cursor.take()?;
            let mut request = self
                .agent
                .get(&url)
                .query("limit", PAGE.to_string())
                .query("status", status.name())
                .header(header::AUTHORIZATION, self.authorization.clone());
            if let Some(after) = after {
                request = request.query("after", after);
            }
            let answer = request.call().map_err(|error| self.failed(error));
            let page: Result<PageAnswer, Error> = answer.and_then(|answer| self.read(answer));
            Some(page.map(|page| {
                cursor = page.next.map(Some);
                page.entries
            }))
        })
    }

    /// Returns up to `limit` changes of the list, or of one number's entry, newest first, starting
    /// below the sequence number `before`.
    pub(super) fn history(
        &self,
        target: &Target,
        number: Option<&str>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<TrailAnswer, Error> {
        let what = number
            .map_or_else(|| "history".to_owned(), |number| format!("entries/{}/history", segment(number)));
        let mut request = self
            .agent
            .get(self.url(target, &what))
            .query("limit", limit.to_string())
            .header(header::AUTHORIZATION, self.authorization.clone());
        if let Some(before) = before {
            request = request.query("before", before.to_string());
        }
        self.read(request.call().map_err(|error| self.failed(error))?)
    }

    /// Returns the status of a tenant's plugin. Requires the administrator's token.
    pub(super) fn plugin_status(&self, tenant: &str) -> Result<PluginStatus, Error> {
        self.call(self.agent.get(self.plugin_url(tenant, "")))
    }

    /// Exchanges a rule of a tenant. Requires the administrator's token.
    pub(super) fn exchange_rule(
        &self,
        tenant: &str,
        rule: &str,
        request: &RuleExchangeRequest,
    ) -> Result<PluginStatus, Error> {
        self.send(self.agent.post(self.rule_url(tenant, rule, "")), request)
    }

    /// Promotes or rolls back a rule of a tenant. Requires the administrator's token.
    pub(super) fn act_on_rule(&self, tenant: &str, rule: &str, action: &str) -> Result<PluginStatus, Error> {
        let request = self.agent.post(self.rule_url(tenant, rule, &format!("/{action}")));
        let answer = request.header(header::AUTHORIZATION, self.authorization.clone()).send_empty();
        self.read(answer.map_err(|error| self.failed(error))?)
    }

    fn rule_url(&self, tenant: &str, rule: &str, rest: &str) -> String {
        let (tenant, rule) = (segment(tenant), segment(rule));
        format!("{}/portcullis/v1/admin/tenants/{tenant}/rules/{rule}{rest}", self.base)
    }

    /// Returns what a tenant's rules count. Requires the administrator's token.
    pub(super) fn meters(&self, tenant: &str, most: usize) -> Result<MetersAnswer, Error> {
        let url = format!("{}/portcullis/v1/admin/tenants/{}/meters?most={most}", self.base, segment(tenant));
        self.call(self.agent.get(url))
    }

    /// Returns messages that a tenant's rules were asked about, from a place on. Requires the administrator's token.
    pub(super) fn recording(&self, tenant: &str, from: Option<u64>) -> Result<RecordingAnswer, Error> {
        let from = from.map(|from| format!("?from={from}")).unwrap_or_default();
        let url = format!("{}/portcullis/v1/admin/tenants/{}/messages{from}", self.base, segment(tenant));
        self.call(self.agent.get(url))
    }

    /// Returns the gateways that share the ledger. Requires the administrator's token.
    pub(super) fn fleet(&self) -> Result<FleetAnswer, Error> {
        self.call(self.agent.get(format!("{}/portcullis/v1/admin/fleet", self.base)))
    }

    /// Lists all tenants. Requires the administrator's token, like everything about tenants.
    pub(super) fn tenants(&self) -> Result<TenantsAnswer, Error> {
        self.call(self.agent.get(format!("{}{TENANTS}", self.base)))
    }

    pub(super) fn tenant(&self, tenant: &str) -> Result<TenantAnswer, Error> {
        self.call(self.agent.get(self.tenant_url(tenant, "")))
    }

    pub(super) fn put_tenant(
        &self,
        tenant: &str,
        settings: &Map<String, Value>,
    ) -> Result<TenantAnswer, Error> {
        self.send(self.agent.put(self.tenant_url(tenant, "")), settings)
    }

    /// Changes the settings that the object names, as RFC 7396 says.
    pub(super) fn patch_tenant(
        &self,
        tenant: &str,
        settings: &Map<String, Value>,
    ) -> Result<TenantAnswer, Error> {
        self.send(self.agent.patch(self.tenant_url(tenant, "")), settings)
    }

    /// Deletes a tenant, if the confirmation is its name.
    pub(super) fn forget_tenant(&self, tenant: &str, confirmation: &str) -> Result<RemovedAnswer, Error> {
        self.call(self.agent.delete(self.tenant_url(tenant, "")).query("confirm", confirmation))
    }

    pub(super) fn put_sender(
        &self,
        tenant: &str,
        sender: &str,
        settings: &Map<String, Value>,
    ) -> Result<TenantAnswer, Error> {
        self.send(self.agent.put(self.sender_url(tenant, sender)), settings)
    }

    /// Changes the settings that the object names, as RFC 7396 says.
    pub(super) fn patch_sender(
        &self,
        tenant: &str,
        sender: &str,
        settings: &Map<String, Value>,
    ) -> Result<TenantAnswer, Error> {
        self.send(self.agent.patch(self.sender_url(tenant, sender)), settings)
    }

    pub(super) fn remove_sender(&self, tenant: &str, sender: &str) -> Result<RemovedAnswer, Error> {
        self.call(self.agent.delete(self.sender_url(tenant, sender)))
    }

    /// The tokens of a tenant, or of one of its senders.
    pub(super) fn tokens(&self, tenant: &str, sender: Option<&str>) -> Result<TokensAnswer, Error> {
        self.call(self.agent.get(self.tokens_url(tenant, sender)))
    }

    pub(super) fn create_token(
        &self,
        tenant: &str,
        sender: Option<&str>,
        request: &NewTokenRequest,
    ) -> Result<NewTokenAnswer, Error> {
        self.send(self.agent.post(self.tokens_url(tenant, sender)), request)
    }

    pub(super) fn revoke_token(
        &self,
        tenant: &str,
        sender: Option<&str>,
        name: &str,
    ) -> Result<RemovedAnswer, Error> {
        let url = format!("{}/{}", self.tokens_url(tenant, sender), segment(name));
        self.call(self.agent.delete(url))
    }

    fn tokens_url(&self, tenant: &str, sender: Option<&str>) -> String {
        let owner =
            sender.map_or_else(|| self.tenant_url(tenant, ""), |sender| self.sender_url(tenant, sender));
        format!("{owner}/tokens")
    }

    fn tenant_url(&self, tenant: &str, rest: &str) -> String {
        format!("{}{TENANTS}/{}{rest}", self.base, segment(tenant))
    }

    fn sender_url(&self, tenant: &str, sender: &str) -> String {
        self.tenant_url(tenant, &format!("/senders/{}", segment(sender)))
    }

    /// Returns which master key is in use. Requires the administrator's token.
    pub(super) fn master_key(&self) -> Result<MasterKeyAnswer, Error> {
        self.call(self.agent.get(format!("{}/portcullis/v1/admin/keys/master", self.base)))
    }

    /// Rotates the master key. Requires the administrator's token.
    pub(super) fn rotate_master_key(&self) -> Result<RotatedAnswer, Error> {
        let request = self.agent.post(format!("{}/portcullis/v1/admin/keys/master/rotate", self.base));
        let answer = request.header(header::AUTHORIZATION, self.authorization.clone()).send_empty();
        self.read(answer.map_err(|error| self.failed(error))?)
    }

    /// Replaces a tenant's plugin or starts a shadow run, and returns the new status. Requires the
    /// administrator's token.
    pub(super) fn exchange_plugin(
        &self,
        tenant: &str,
        body: &ExchangeRequest,
    ) -> Result<PluginStatus, Error> {
        self.send(self.agent.post(self.plugin_url(tenant, "")), body)
    }

    /// Runs `promote` or `rollback`, and returns the new status. Requires the administrator's token.
    pub(super) fn act_on_plugin(&self, tenant: &str, action: &str) -> Result<PluginStatus, Error> {
        let request = self.agent.post(self.plugin_url(tenant, &format!("/{action}")));
        let answer = request.header(header::AUTHORIZATION, self.authorization.clone()).send_empty();
        self.read(answer.map_err(|error| self.failed(error))?)
    }

    /// Lists all plugins. Requires the administrator's token.
    pub(super) fn plugins(&self) -> Result<PluginsAnswer, Error> {
        self.call(self.agent.get(format!("{}/portcullis/v1/admin/plugins", self.base)))
    }

    /// Uploads a component. Requires the administrator's token.
    pub(super) fn put_plugin(
        &self,
        name: &str,
        component: &[u8],
        signature: Option<&str>,
    ) -> Result<PluginPutAnswer, Error> {
        let url = format!("{}/portcullis/v1/admin/plugins/{}", self.base, segment(name));
        let mut request = self.agent.put(url).header(header::AUTHORIZATION, self.authorization.clone());
        if let Some(signature) = signature {
            request = request.header(SIGNATURE_HEADER, STANDARD.encode(signature));
        }
        let answer = request.content_type("application/wasm").send(component);
        self.read(answer.map_err(|error| self.failed(error))?)
    }

    /// Removes an old version of a plugin. Requires the administrator's token.
    pub(super) fn remove_plugin_version(
        &self,
        name: &str,
        version: &str,
    ) -> Result<PluginRemovedAnswer, Error> {
        let (name, version) = (segment(name), segment(version));
        let url = format!("{}/portcullis/v1/admin/plugins/{name}/versions/{version}", self.base);
        self.call(self.agent.delete(url))
    }

    fn plugin_url(&self, tenant: &str, what: &str) -> String {
        format!("{}/portcullis/v1/admin/tenants/{}/plugin{what}", self.base, segment(tenant))
    }

    fn url(&self, target: &Target, what: &str) -> String {
        format!("{}{}", self.base, target.path(what))
    }

    fn call<T: DeserializeOwned>(
        &self,
        request: ureq::RequestBuilder<ureq::typestate::WithoutBody>,
    ) -> Result<T, Error> {
        let answer = request.header(header::AUTHORIZATION, self.authorization.clone()).call();
        self.read(answer.map_err(|error| self.failed(error))?)
    }

    fn send<T: DeserializeOwned>(
        &self,
        request: ureq::RequestBuilder<ureq::typestate::WithBody>,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(|_| Error::Unwritable)?;
        let answer = request
            .header(header::AUTHORIZATION, self.authorization.clone())
            .content_type("application/json")
            .send(&body);
        self.read(answer.map_err(|error| self.failed(error))?)
    }

    fn read<T: DeserializeOwned>(&self, answer: Response<Body>) -> Result<T, Error> {
        let (head, body) = answer.into_parts();
        let bytes = whole(body).map_err(|error| self.failed(error))?;
        if head.status.is_success() {
            // The JSON error is dropped: it may quote the response, which contains numbers.
            return serde_json::from_slice(&bytes)
                .map_err(|_| Error::NotOurs { url: self.base.clone(), status: head.status });
        }
        Err(match serde_json::from_slice(&bytes) {
            Ok(ErrorBody { error }) => {
                Error::Refused(Box::new(Refusal { error, token_from: self.token_from }))
            }
            Err(_) => Error::NotOurs { url: self.base.clone(), status: head.status },
        })
    }

    fn failed(&self, error: ureq::Error) -> Error {
        failed(&self.base, error)
    }
}

fn agent(base: &BaseUrl) -> Agent {
    Agent::config_builder()
        // Error responses have a body that explains the error.
        .http_status_as_error(false)
        // A POST that is redirected would become a GET.
        .max_redirects(0)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(ANSWER))
        .timeout_recv_body(Some(ANSWER))
        .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        // Internal gateways often have certificates of a company's own CA.
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        // A proxy named in the environment can't reach this machine's loopback interface, and must
        // not see the token.
        .proxy(if base.here { None } else { Proxy::try_from_env() })
        .build()
        .new_agent()
}

fn whole(body: Body) -> Result<Vec<u8>, ureq::Error> {
    let mut bytes = Vec::new();
    body.into_with_config().limit(LONGEST_ANSWER).reader().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the gateway says of its state. Needs no token. A gateway that is not ready answers as well.
pub(super) fn health_of(base: &BaseUrl) -> Result<HealthAnswer, Error> {
    let answer = agent(base).get(format!("{base}/readyz")).call().map_err(|error| failed(base, error))?;
    let (head, body) = answer.into_parts();
    let bytes = whole(body).map_err(|error| failed(base, error))?;
    serde_json::from_slice(&bytes).map_err(|_| Error::NotOurs { url: base.clone(), status: head.status })
}

fn failed(base: &BaseUrl, error: ureq::Error) -> Error {
    use std::io::ErrorKind;
    let url = base.clone();
    let lost = match &error {
        ureq::Error::Protocol(_) | ureq::Error::BodyStalled => true,
        ureq::Error::Timeout(timeout) => !matches!(timeout, Timeout::Connect | Timeout::Resolve),
        // All other errors happen before the connection is established, such as during name
        // resolution or the TLS handshake.
        ureq::Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::BrokenPipe
                | ErrorKind::ConnectionAborted
                | ErrorKind::ConnectionReset
                | ErrorKind::TimedOut
                | ErrorKind::UnexpectedEof
        ),
        _ => false,
    };
    let cause = match error {
        ureq::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    };
    if lost { Error::Lost { url, cause } } else { Error::Unreachable { url, cause } }
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "no token given; set --token or the environment variable PORTCULLIS_TOKEN to a token of the tenant"
    )]
    NoToken,
    #[error(
        "no administrator's token given; set --admin-token or the environment variable PORTCULLIS_ADMIN_TOKEN"
    )]
    NoAdminToken,
    #[error(
        "the token contains characters that are not allowed in a token; check that it has no line breaks inside"
    )]
    TokenCharacters,
    #[error(
        "the gateway at {url} can't be reached: {cause}; is it running? is --url (PORTCULLIS_URL) correct?"
    )]
    Unreachable { url: BaseUrl, cause: String },
    #[error("the gateway at {url} was reached, but did not respond: {cause}")]
    Lost { url: BaseUrl, cause: String },
    #[error(
        "the response of {url} ({status}) is not from a portcullis gateway; is --url (PORTCULLIS_URL) correct?"
    )]
    NotOurs { url: BaseUrl, status: StatusCode },
    #[error("{0}")]
    Refused(Box<Refusal>),
    #[error("the request can't be serialized as JSON")]
    Unwritable,
}

/// An error response of the gateway.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: ErrorObject,
    /// The option and the variable that set the token.
    pub(super) token_from: &'static str,
}

impl Refusal {
    /// The error code.
    pub(super) fn code(&self) -> &str {
        &self.error.code
    }

    /// The invalid numbers that the error lists, each as its index in the request and what is wrong
    /// with it.
    pub(super) fn invalid(&self) -> impl Iterator<Item = (usize, &str)> {
        self.error.details.iter().filter_map(|detail| Some((detail.index?, detail.reason.as_str())))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", ForeignText(&self.error.message))?;
        // Name the option that fixes these.
        let is = |code: ErrorCode| self.code() == code.as_str();
        if is(ErrorCode::InvalidToken) || is(ErrorCode::MissingToken) {
            write!(f, " ({})", self.token_from)?;
        } else if is(ErrorCode::BodyTooLarge) {
            f.write_str(" (for an import: --batch)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_a_scheme_a_host_and_maybe_a_path() {
        for (text, expected) in [
            ("http://127.0.0.1:8480", "http://127.0.0.1:8480"),
            ("http://127.0.0.1:8480/", "http://127.0.0.1:8480"),
            ("https://gate.example/portcullis-a/", "https://gate.example/portcullis-a"),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().to_string(), expected);
        }
        for text in [
            "",
            "127.0.0.1:8480",
            "ftp://gate.example",
            "http://",
            "http://user:secret@gate.example",
            "http://gate.example/?token=secret",
        ] {
            let message = text.parse::<BaseUrl>().unwrap_err();
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn only_this_machine_goes_without_a_proxy() {
        for (text, here) in [
            ("http://localhost:1", true),
            ("http://127.0.0.2", true),
            ("http://[::1]:8480", true),
            ("http://gate.example", false),
            ("http://localhost.example", false),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().here, here, "{text}");
        }
    }

    #[test]
    fn a_sender_id_stays_one_segment_of_the_path() {
        for (id, path) in [
            ("support", "support"),
            ("a b/ö", "a%20b%2F%C3%B6"),
            ("..", "%2E%2E"),
            (".", "%2E"),
            ("a?b#c%d", "a%3Fb%23c%25d"),
        ] {
            assert_eq!(
                Target::Sender(id.to_owned()).path("check"),
                format!("/portcullis/v1/senders/{path}/check")
            );
        }
    }

    #[test]
    fn a_token_that_no_header_can_carry_is_refused_without_being_shown() {
        let base: BaseUrl = "http://127.0.0.1:1".parse().unwrap();
        for (token, expected) in [("", "no token"), (" ", "no token"), ("se\ncret", "characters")] {
            let error = Client::new(base.clone(), Some(&Token(token.to_owned()))).err().unwrap().to_string();
            assert!(error.contains(expected) && !error.contains("cret"), "{error}");
        }
    }
}
