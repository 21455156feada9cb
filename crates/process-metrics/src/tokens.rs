//! Tokens that the gateway knows, and refuses.

use std::sync::LazyLock;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    reason: &'static str,
}

static REFUSED: LazyLock<Family<Labels, Counter>> = LazyLock::new(Family::default);

/// Why a token that the gateway knows is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Useless {
    /// It has expired.
    Expired,
    /// It may not be used for what was asked.
    OutOfScope,
}

impl Useless {
    const ALL: [Useless; 2] = [Useless::Expired, Useless::OutOfScope];

    const fn as_str(self) -> &'static str {
        match self {
            Useless::Expired => "expired",
            Useless::OutOfScope => "scope",
        }
    }
}

/// Counts a request whose token is refused.
pub fn refused(why: Useless) {
    REFUSED.get_or_create(&Labels { reason: why.as_str() }).inc();
}

pub(crate) fn register(registry: &mut Registry) {
    for why in Useless::ALL {
        REFUSED.get_or_create(&Labels { reason: why.as_str() }).inc_by(0);
    }
    registry.register(
        "refused_tokens",
        "Requests with tokens that have expired, or that may not be used for what was asked, by reason",
        REFUSED.clone(),
    );
}
