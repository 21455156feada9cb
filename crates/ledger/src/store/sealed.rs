//! What is stored encrypted beside the texts of entries and records. Every store writes it alike, so that a ledger can be moved.

use portcullis_keys::{MasterSeal, Rewrap, TenantId, TenantKeys, TenantSecret, UserId};

use crate::error::LedgerError;

const SETTINGS_CONTEXT: &[u8] = b"tenant settings";
const IDENTITY: &str = "row of an identity";

/// Encrypts the text by which a wrong master key is noticed.
///
/// # Errors
/// [`LedgerError::Seal`], if the operating system gives no random bytes.
pub fn seal_check(master: &MasterSeal) -> Result<Vec<u8>, LedgerError> {
    master.check_of_new().map_err(LedgerError::Seal)
}

/// Makes and encrypts the secret of a new tenant.
///
/// # Errors
/// [`LedgerError::Seal`], if the operating system gives no random bytes.
pub fn new_secret(master: &MasterSeal, tenant: &TenantId) -> Result<Vec<u8>, LedgerError> {
    TenantSecret::random().and_then(|secret| secret.wrap(master, tenant)).map_err(LedgerError::Seal)
}

/// Decrypts a tenant's secret.
///
/// # Errors
/// [`LedgerError::Damaged`]
pub fn open_secret(
    master: &MasterSeal,
    tenant: &TenantId,
    wrapped: &[u8],
) -> Result<TenantKeys, LedgerError> {
    let secret = TenantSecret::unwrap(master, tenant, wrapped)
        .map_err(|error| LedgerError::unsealed("secret of a tenant", error))?;
    Ok(TenantKeys::new(secret))
}

/// Encrypts a tenant's secret under another master key.
///
/// # Errors
/// [`LedgerError::Damaged`], or [`LedgerError::Seal`] if the operating system gives no random bytes.
pub fn rewrap_secret(rewrap: &Rewrap, tenant: &TenantId, wrapped: &[u8]) -> Result<Vec<u8>, LedgerError> {
    TenantSecret::rewrap(rewrap, tenant, wrapped)
        .map_err(|error| LedgerError::unsealed("secret of a tenant", error))
}

/// Encrypts a tenant's settings.
///
/// # Errors
/// [`LedgerError::Seal`], if the operating system gives no random bytes.
pub fn seal_settings(keys: &TenantKeys, settings: &[u8]) -> Result<Vec<u8>, LedgerError> {
    keys.settings_seal().seal(SETTINGS_CONTEXT, settings).map_err(LedgerError::Seal)
}

/// Decrypts a tenant's settings.
///
/// # Errors
/// [`LedgerError::Damaged`]
pub fn open_settings(keys: &TenantKeys, sealed: &[u8]) -> Result<Vec<u8>, LedgerError> {
    keys.settings_seal()
        .open(SETTINGS_CONTEXT, sealed)
        .map_err(|error| LedgerError::unsealed("settings of a tenant", error))
}

fn user_context(id: i64) -> Vec<u8> {
    [b"user id".as_slice(), &id.to_be_bytes()].concat()
}

/// Encrypts a user id, which was assigned this id.
///
/// # Errors
/// [`LedgerError::Seal`], if the operating system gives no random bytes.
pub fn seal_user(keys: &TenantKeys, id: i64, user: &UserId) -> Result<Vec<u8>, LedgerError> {
    keys.text_seal().seal(&user_context(id), user.as_str().as_bytes()).map_err(LedgerError::Seal)
}

/// Decrypts a user id.
///
/// # Errors
/// [`LedgerError::Damaged`]
pub fn open_user(keys: &TenantKeys, id: i64, sealed: &[u8]) -> Result<UserId, LedgerError> {
    let text = keys.text_seal().open(&user_context(id), sealed);
    let text = text.map_err(|error| LedgerError::unsealed(IDENTITY, error))?;
    let user = String::from_utf8(text).ok().and_then(|text| text.parse().ok());
    user.ok_or(LedgerError::damaged(IDENTITY))
}
