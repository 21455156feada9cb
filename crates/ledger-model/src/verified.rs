//! The result of checking a whole ledger.

use std::fmt;

use portcullis_keys::{Scope, TenantId, TenantKeys};

/// The result of checking a whole ledger.
#[derive(Debug, Default)]
pub struct Verified {
    /// What is damaged; empty if nothing is.
    pub findings: Vec<Finding>,
    /// The number of tenants.
    pub tenants: u64,
    /// The number of entries, active or not.
    pub entries: u64,
    /// The lists whose tenants' keys could be decrypted.
    pub lists: Vec<ListState>,
    /// How a copy compares with the ledger that it may be a copy of, if that one's witness can be read.
    pub age: Option<Age>,
}

/// How a copy of a ledger compares with the ledger itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// The ledger has this many commits that the copy lacks.
    Behind(u64),
    /// It is a copy of another ledger.
    AnotherLedger,
}

/// A list, and the saved state that may be loaded for it.
#[derive(Debug)]
pub struct ListState {
    /// The tenant.
    pub tenant: TenantId,
    /// The list.
    pub scope: Scope,
    /// The tenant's keys.
    pub keys: TenantKeys,
    /// The id of its saved state.
    pub state: Option<[u8; 16]>,
    /// The sequence number of its latest change.
    pub sequence: u64,
}

/// Something that is damaged. Contains no number and no text of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The tenant that it belongs to, if it belongs to one.
    pub tenant: Option<TenantId>,
    /// The list that it belongs to, if it belongs to one.
    pub scope: Option<Scope>,
    /// What is wrong with what.
    pub what: String,
}

impl Finding {
    /// A finding about the ledger as a whole, or what is beside it.
    pub fn new(what: impl Into<String>) -> Self {
        Finding { tenant: None, scope: None, what: what.into() }
    }

    /// A finding about a tenant.
    pub fn of_tenant(tenant: &TenantId, what: impl Into<String>) -> Self {
        Finding { tenant: Some(tenant.clone()), ..Self::new(what) }
    }

    /// A finding about a list.
    pub fn of_list(tenant: &TenantId, scope: &Scope, what: impl Into<String>) -> Self {
        Finding { scope: Some(scope.clone()), ..Self::of_tenant(tenant, what) }
    }
}

/// On one line: `tenant acme, list support: …`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tenant) = &self.tenant {
            write!(f, "tenant {tenant}")?;
            match &self.scope {
                Some(Scope::Tenant) => f.write_str(", the tenant-wide list")?,
                Some(Scope::Sender(sender)) => write!(f, ", list {sender}")?,
                None => {}
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.what)
    }
}
