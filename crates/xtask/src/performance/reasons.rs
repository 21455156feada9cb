//! Why a target was missed, from a profile, and what was tried: said on the page where it is missed, and only there.

/// By the name of the figure.
pub(super) const REASONS: &[(&str, &str)] = &[];
