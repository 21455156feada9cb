//! URLs of a configuration, as they are shown.

use std::borrow::Cow;

use crate::settings::MASK;

/// Returns a URL as it may be shown: with [`MASK`] in place of a password before the host, and of the values of query parameters
/// whose names say that they are secret, such as `password`, `api_key` and `access_token`. Placeholders in braces stay.
///
/// A secret in the path can't be told from any other part of it.
pub fn masked_url(url: &str) -> String {
    let start = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |length| start + length);
    let (scheme, authority, rest) = (&url[..start], &url[start..end], &url[end..]);
    let authority: Cow<'_, str> = match authority.rsplit_once('@') {
        None => authority.into(),
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}:{MASK}@{host}").into(),
            // A token often stands alone.
            None => format!("{MASK}@{host}").into(),
        },
    };
    let (rest, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    let rest: Cow<'_, str> = match rest.split_once('?') {
        None => rest.into(),
        Some((path, query)) => {
            let pairs: Vec<Cow<'_, str>> = query.split('&').map(masked_pair).collect();
            format!("{path}?{}", pairs.join("&")).into()
        }
    };
    format!("{scheme}{authority}{rest}{fragment}")
}

/// Whether a URL is one that [`masked_url`] returned, and lacks what it masked.
pub fn is_masked_url(url: &str) -> bool {
    url.contains(MASK)
}

fn masked_pair(pair: &str) -> Cow<'_, str> {
    match pair.split_once('=') {
        Some((name, value)) if is_secret(name) && !value.is_empty() && !is_placeholder(value) => {
            format!("{name}={MASK}").into()
        }
        _ => pair.into(),
    }
}

/// Whether a parameter of this name probably has a secret. Errs on the side of masking.
fn is_secret(name: &str) -> bool {
    const PARTS: [&str; 7] = ["pass", "pwd", "secret", "token", "apikey", "credential", "signature"];
    const WHOLE: [&str; 7] = ["auth", "authorization", "key", "pin", "pw", "sig", "accesskey"];
    let folded: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|character| character.to_ascii_lowercase())
        .collect();
    PARTS.iter().any(|part| folded.contains(part)) || WHOLE.contains(&folded.as_str())
}

fn is_placeholder(value: &str) -> bool {
    value.starts_with('{') && value.ends_with('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_the_rest_is_shown() {
        for (url, shown) in [
            ("http://127.0.0.1:9000/in", "http://127.0.0.1:9000/in"),
            ("https://u:p@h.example/in?x=1#y", "https://u:(set)@h.example/in?x=1#y"),
            ("https://u:p:@@h.example", "https://u:(set)@h.example"),
            ("https://token@h.example/", "https://(set)@h.example/"),
            (
                "http://kannel:13013/cgi-bin/sendsms?username=u&password=p&from={sender}&text={body}",
                "http://kannel:13013/cgi-bin/sendsms?username=u&password=(set)&from={sender}&text={body}",
            ),
            (
                "http://h/?api_key=1&Access-Token=2&key=3&monkey=4",
                "http://h/?api_key=(set)&Access-Token=(set)&key=(set)&monkey=4",
            ),
            ("http://h/a@b?pass=&token={body}", "http://h/a@b?pass=&token={body}"),
            ("no url", "no url"),
        ] {
            assert_eq!(masked_url(url), shown);
            assert_eq!(is_masked_url(shown), url != shown);
        }
    }
}
