//! Whose memory it is.

use std::net::IpAddr;

use portcullis_keys::TenantId;

/// Whose memory it is. Each gets only a share of a [`Budget`](crate::Budget), so that none takes the whole.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// An address, or the network that is one client's.
    Address(IpAddr),
    /// A client of a tenant.
    Client {
        /// The tenant.
        tenant: &'a TenantId,
        /// The only sender that the client's token is valid for; `None` if it is valid for the whole tenant.
        sender: Option<&'a str>,
    },
    /// The administrator.
    Operator,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Address(IpAddr),
    Tenant(TenantId),
    Sender(TenantId, String),
    Operator,
}

/// What an owner's bytes count for.
pub(crate) struct Account {
    whole: Key,
    part: Option<Key>,
}

impl Account {
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.whole).chain(&self.part)
    }

    /// Whether its bytes do not count for those of all.
    pub(crate) fn is_apart(&self) -> bool {
        self.whole == Key::Operator
    }
}

impl From<Owner<'_>> for Account {
    fn from(owner: Owner<'_>) -> Self {
        let whole = match owner {
            Owner::Address(address) => Key::Address(address),
            Owner::Client { tenant, .. } => Key::Tenant(tenant.clone()),
            Owner::Operator => Key::Operator,
        };
        let part = match owner {
            Owner::Client { tenant, sender: Some(sender) } => {
                Some(Key::Sender(tenant.clone(), sender.to_owned()))
            }
            _ => None,
        };
        Account { whole, part }
    }
}
