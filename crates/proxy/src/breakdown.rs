//! Why a connection failed, in words that name nobody.

use std::error::Error;
use std::fmt;
use std::io;

/// Why a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breakdown {
    /// It could not be established or used, for a reason that the system gives.
    System(io::ErrorKind),
    /// The server's certificate is not valid for its name, or nobody that is trusted has issued it.
    Certificate,
    /// Another problem of TLS.
    Tls,
    /// What the server sent is not HTTP.
    NotHttp,
    /// None of these.
    Other,
}

impl Breakdown {
    /// Looks for the reason among the causes of an error.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut found = Breakdown::Other;
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(cause) = cause.downcast_ref::<rustls::Error>() {
                return Self::of_tls(cause);
            }
            if let Some(cause) = cause.downcast_ref::<io::Error>() {
                found = Breakdown::System(cause.kind());
                // What an error of this kind wraps is not among its sources.
                if let Some(cause) = cause.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
                    return Self::of_tls(cause);
                }
            } else if let Some(cause) = cause.downcast_ref::<hyper::Error>()
                && (cause.is_parse() || cause.is_incomplete_message())
            {
                found = if cause.is_parse() { Breakdown::NotHttp } else { CLOSED };
            }
            next = cause.source();
        }
        found
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
                Breakdown::Certificate
            }
            _ => Breakdown::Tls,
        }
    }
}

/// The server closed the connection before it had answered.
const CLOSED: Breakdown = Breakdown::System(io::ErrorKind::UnexpectedEof);

impl fmt::Display for Breakdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Breakdown::System(io::ErrorKind::UnexpectedEof) => "closed before it was answered",
            Breakdown::System(kind) => {
                let text = kind.to_string();
                // What the system's resolver says has no kind of its own.
                let is_of_resolver = text == "uncategorized error";
                return f.write_str(if is_of_resolver { "the name can't be resolved" } else { &text });
            }
            Breakdown::Certificate => "the server's certificate is not valid",
            Breakdown::Tls => "TLS failed",
            Breakdown::NotHttp => "the answer is not HTTP",
            Breakdown::Other => "no reason was given",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_below_other_errors() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(Breakdown::of(&refused).to_string(), "connection refused");
        let certificate = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let certificate = io::Error::new(io::ErrorKind::InvalidData, certificate);
        assert_eq!(Breakdown::of(&certificate), Breakdown::Certificate);
        assert_eq!(Breakdown::of(&fmt::Error), Breakdown::Other);
    }
}
