//! URLs in settings.

use axum::http::Uri;

/// The placeholders of a next hop's URL.
const PLACEHOLDERS: [&str; 3] = ["{sender}", "{recipient}", "{body}"];

/// Whether the text is an `http` or `https` URL with a host.
pub fn is_http_url(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    })
}

/// Whether a message would choose the host to which it goes: the URL of a next hop has a placeholder before its path.
pub fn is_open(hop: &str) -> bool {
    let start = hop.find("://").map_or(0, |scheme| scheme + 3);
    let end = hop[start..].find(['/', '?', '#']).map_or(hop.len(), |length| start + length);
    PLACEHOLDERS.iter().any(|name| hop[..end].contains(name))
}

/// A next hop's URL with its placeholders filled in, for validation.
pub(super) fn filled_in(hop: &str) -> String {
    PLACEHOLDERS.iter().fold(hop.to_owned(), |url, name| url.replace(name, "x"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_chooses_no_host() {
        for open in [
            "http://{recipient}/in",
            "http://{sender}.example/in",
            "http://h:{body}/in",
            "http://{sender}:x@h/in",
            "{body}://h/in",
            "{body}",
            "http://h{recipient}?x=1",
            "http://h{recipient}#x",
        ] {
            assert!(is_open(open), "{open}");
        }
        for closed in
            ["http://h/{recipient}", "http://h?to={recipient}", "http://h/in#{body}", "http://h/a://{body}"]
        {
            assert!(!is_open(closed), "{closed}");
        }
    }
}
