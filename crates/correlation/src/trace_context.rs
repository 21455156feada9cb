//! The trace that a request is part of, as its client says: the header `traceparent` (W3C Trace Context, level 1,
//! <https://www.w3.org/TR/trace-context/>).

use std::fmt;

use axum::http::{HeaderMap, HeaderName};

/// The header with the trace and the span.
pub const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header with what vendors of tracing add to it.
pub const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// The most bytes of a `traceparent` that are read: later versions may add fields.
const LONGEST: usize = 256;

/// The place of a request in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: TraceId,
    parent: u64,
    flags: u8,
}

/// The id of a trace; never 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId(u128);

impl TraceContext {
    /// Reads the header. `None` if there is none or several, or if it is not valid, which starts another trace.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACE_PARENT).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        Self::parse(value.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > LONGEST {
            return None;
        }
        let mut fields = text.split('-');
        let version = hex(fields.next()?, 2)?;
        let (trace, parent) = (hex(fields.next()?, 32)?, hex(fields.next()?, 16)?);
        let flags = hex(fields.next()?, 2)?;
        // Version 0 has no more fields, and 255 is no version.
        let is_version = match version {
            0 => fields.next().is_none(),
            version => version < 255,
        };
        (is_version && trace != 0 && parent != 0).then_some(TraceContext {
            trace: TraceId(trace),
            parent: u64::try_from(parent).ok()?,
            flags: u8::try_from(flags).ok()?,
        })
    }

    /// The id of the trace.
    pub fn trace_id(&self) -> TraceId {
        self.trace
    }

    /// The id of the span that made the request; never 0.
    pub fn parent_id(&self) -> u64 {
        self.parent
    }

    /// Whether the client has recorded the trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

impl TraceId {
    /// The id as a number.
    pub fn get(self) -> u128 {
        self.0
    }
}

/// Reads so many lowercase hexadecimal digits, 32 at most.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_valid = text.len() == digits && text.bytes().all(is_digit);
    is_valid.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// 32 hexadecimal digits.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_samples_are_read() {
        let context = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.parent_id(), 0xb7ad_6b71_6920_3331);
        assert!(context.is_sampled());
        assert!(
            !TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
                .unwrap()
                .is_sampled()
        );
        // A later version may have more fields.
        assert!(
            TraceContext::parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-is-next")
                .is_some()
        );
    }

    #[test]
    fn what_is_not_valid_is_no_context() {
        for text in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }
}
