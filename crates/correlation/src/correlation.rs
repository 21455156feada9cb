//! What a request and those that the gateway makes because of it have in common: the request's id, and the trace that it is part of.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use tracing::{Span, error_span};

use crate::request_id::{REQUEST_ID, RequestId};
use crate::trace_context::{TRACE_PARENT, TRACE_STATE, TraceContext};

/// The id of a request, and its place in a trace.
#[derive(Clone, Copy, Debug)]
pub struct Correlation {
    /// The id of the request.
    pub id: RequestId,
    /// The place in a trace, if the client said so.
    pub trace: Option<TraceContext>,
}

impl Correlation {
    /// Reads the headers of a request. A request without a usable id gets a random one.
    pub fn of(headers: &HeaderMap) -> Self {
        Correlation { id: RequestId::of(headers), trace: TraceContext::of(headers) }
    }

    /// Puts the id into the headers of the request, and takes what is not valid out of them, so that they can be passed on.
    pub fn mark(&self, headers: &mut HeaderMap) {
        headers.insert(REQUEST_ID, self.id.header());
        if self.trace.is_none() {
            headers.remove(TRACE_PARENT);
            headers.remove(TRACE_STATE);
        }
    }

    /// The span of the request: every line that is logged in it has the ids.
    pub fn span(&self) -> Span {
        // The most severe level, so that warnings have ids in a log of nothing but warnings.
        match self.trace {
            Some(trace) => error_span!("request", request_id = %self.id, trace_id = %trace.trace_id()),
            None => error_span!("request", request_id = %self.id),
        }
    }

    /// Answers a request in its [`span`](Self::span), which is made only if the answer is not there at once. Most checks are answered at
    /// once, and log nothing, and a span would cost them half a microsecond.
    pub async fn when_waiting<T>(&self, answering: impl Future<Output = T>) -> T {
        let mut answering = pin!(answering);
        let mut span: Option<Span> = None;
        poll_fn(|context| {
            let polled = match &span {
                Some(span) => span.in_scope(|| answering.as_mut().poll(context)),
                None => answering.as_mut().poll(context),
            };
            if polled.is_pending() && span.is_none() {
                span = Some(self.span());
            }
            polled
        })
        .await
    }
}

/// The headers that a request which is made because of another one should have, from that one.
#[derive(Clone, Debug, Default)]
pub struct PassedOn([Option<HeaderValue>; 3]);

impl PassedOn {
    /// Takes the headers of a request that was [marked](Correlation::mark).
    pub fn of(headers: &HeaderMap) -> Self {
        PassedOn([REQUEST_ID, TRACE_PARENT, TRACE_STATE].map(|name| headers.get(name).cloned()))
    }

    /// Those of a request that no other one is the reason of: a random id.
    pub fn of_nothing() -> Self {
        PassedOn([Some(RequestId::random().header()), None, None])
    }

    /// Puts them among the headers of a request.
    pub fn put(self, headers: &mut HeaderMap) {
        for (name, value) in [REQUEST_ID, TRACE_PARENT, TRACE_STATE].into_iter().zip(self.0) {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PassedOn {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(PassedOn::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_valid_is_passed_on() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("a b"));
        headers.insert(TRACE_PARENT, HeaderValue::from_static("00-nothing"));
        headers.insert(TRACE_STATE, HeaderValue::from_static("a=1"));
        let correlation = Correlation::of(&headers);
        correlation.mark(&mut headers);
        let mut passed = HeaderMap::new();
        PassedOn::of(&headers).put(&mut passed);
        assert_eq!(passed.len(), 1, "{passed:?}");
        assert_eq!(passed[REQUEST_ID], correlation.id.as_str());
    }

    #[tokio::test]
    async fn a_request_is_answered_in_its_span_or_at_once() {
        let correlation = Correlation::of(&HeaderMap::new());
        assert_eq!(correlation.when_waiting(async { 1 }).await, 1);
        let late = async {
            tokio::task::yield_now().await;
            2
        };
        assert_eq!(correlation.when_waiting(late).await, 2);
    }
}
