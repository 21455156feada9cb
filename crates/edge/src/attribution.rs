//! Whom a request turned out to be from, and which sender it is about, for its line in the log.

use std::sync::Arc;

use parking_lot::Mutex;

/// Names that the operator chose. `None` for what is not known, or has no name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author {
    /// The tenant.
    pub tenant: Option<String>,
    /// The sender that the request is about, or else the one that its token is valid for.
    pub sender: Option<String>,
    /// The name of the token, or `admin`.
    pub token: Option<String>,
}

/// What is found out about a request while it is answered. An extension of requests. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Attribution(Arc<Mutex<Author>>);

impl Attribution {
    /// The request has a token of this name, of this tenant, and perhaps of a sender of it.
    pub fn caller(&self, tenant: &str, sender: Option<&str>, token: &str) {
        let sender = sender.map(str::to_owned);
        *self.0.lock() = Author { tenant: Some(tenant.to_owned()), sender, token: Some(token.to_owned()) };
    }

    /// The request has the administrator's token.
    pub fn administrator(&self) {
        *self.0.lock() = Author { token: Some("admin".to_owned()), ..Author::default() };
    }

    /// The request is about this sender of the tenant, which exists.
    pub fn sender(&self, sender: &str) {
        self.0.lock().sender = Some(sender.to_owned());
    }

    /// What is known now.
    pub fn author(&self) -> Author {
        self.0.lock().clone()
    }
}
