//! Tokens that the gateway knows, and refuses.

use portcullis_admission::LogLimit;
pub(crate) use portcullis_process_metrics::tokens::Useless;
use portcullis_process_metrics::tokens::refused;
use tracing::warn;

/// Lines about such tokens: their clients may go on using them.
static LINES: LogLimit = LogLimit::new(20);

/// Counts a request whose token is refused, and logs the token's name, at a bounded rate. `tenant` is empty for an administrator's.
pub(crate) fn token(why: Useless, tenant: &str, name: &str) {
    refused(why);
    if LINES.admits() {
        let suppressed = LINES.suppressed();
        match why {
            Useless::Expired => warn!(tenant, token = name, suppressed, "a token is used that has expired"),
            Useless::OutOfScope => {
                warn!(tenant, token = name, suppressed, "a token is used for what its scopes do not include");
            }
        }
    }
}
