//! The ids of rows in a store.

/// A tenant's row id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantRow(
    /// The id.
    pub i64,
);

/// A list's row id. Never reused, even after the tenant is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRow {
    /// The id.
    pub id: i64,
    /// The tenant that it belongs to.
    pub tenant: TenantRow,
}
