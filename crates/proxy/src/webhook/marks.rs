//! Marks of messages from blocked people (`blocked_inbound = "mark"`).

use axum::http::HeaderName;

/// Header of a delivery that lists the ids of messages from blocked people.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-portcullis-blocked");
/// Maximum length of the header's value in bytes. Servers refuse requests whose headers have more than 8 KiB, and Meta's and those
/// of proxies come on top.
const MAX_HEADER: usize = 4096;
/// What precedes the number of ids that the header lacks. No id that is marked begins like this.
pub(super) const MORE: &str = "more=";
/// The member of the body that has all ids, if they don't fit into the header.
const MEMBER: &str = "x_portcullis_blocked";

/// The ids of the messages from blocked people in a delivery. They are printable ASCII without commas.
///
/// If they don't fit into the header, it has the first ones, followed by `more=N`, the number of those that it lacks. The body
/// then lists all of them, in its member `x_portcullis_blocked`. Thus a callback that reads only the header knows that it does
/// not know.
#[derive(Default)]
pub(super) struct Marks(Vec<String>);

impl Marks {
    pub(super) fn of(ids: Vec<String>) -> Self {
        Marks(ids)
    }

    /// Whether the ids don't fit into the header.
    pub(super) fn overflow(&self) -> bool {
        self.length() > MAX_HEADER
    }

    /// The length of all ids with commas between them.
    fn length(&self) -> usize {
        self.0.iter().map(|id| id.len() + 1).sum::<usize>().saturating_sub(1)
    }

    /// The header's value; `None` if no message is marked.
    pub(super) fn header(&self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        if !self.overflow() {
            return Some(self.0.join(","));
        }
        let more = |left: usize| format!("{MORE}{left}");
        let most = MAX_HEADER - more(self.0.len()).len();
        let mut value = String::with_capacity(MAX_HEADER);
        let mut listed = 0;
        for id in &self.0 {
            if value.len() + id.len() + 1 > most {
                break;
            }
            value.push_str(id);
            value.push(',');
            listed += 1;
        }
        value.push_str(&more(self.0.len() - listed));
        Some(value)
    }

    /// Adds the list of ids to a body, which is a JSON object with a member, if they don't fit into the header.
    pub(super) fn written_into(&self, body: String) -> String {
        let Some(open) = body.strip_suffix('}').filter(|_| self.overflow()) else { return body };
        // They are ASCII, so that nothing has to be escaped as Meta does it.
        let ids: Vec<String> =
            self.0.iter().map(|id| serde_json::Value::from(id.as_str()).to_string()).collect();
        format!("{open},\"{MEMBER}\":[{}]}}", ids.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(count: usize) -> Marks {
        Marks::of(
            (0..count)
                .map(|n| format!("wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTdCNUJENTFDNDA4{n:04}=="))
                .collect(),
        )
    }

    #[test]
    fn a_few_marks_are_in_the_header_alone() {
        assert_eq!(Marks::default().header(), None);
        let marks = Marks::of(vec!["1".to_owned(), "2".to_owned()]);
        assert_eq!(marks.header().as_deref(), Some("1,2"));
        assert_eq!(marks.written_into("{\"a\":1}".to_owned()), "{\"a\":1}");
    }

    #[test]
    fn of_many_the_header_has_the_first_and_the_body_all() {
        for count in [80, 100, 1000] {
            let marks = marks(count);
            let header = marks.header().unwrap();
            assert!(header.len() <= MAX_HEADER, "{}", header.len());
            let mut listed: Vec<&str> = header.split(',').collect();
            let more = listed.pop().unwrap().strip_prefix("more=").unwrap();
            assert_eq!(more.parse::<usize>().unwrap() + listed.len(), count);
            assert!(listed.len() > 40, "{}", listed.len());
            let body: serde_json::Value =
                serde_json::from_str(&marks.written_into("{\"a\":1}".to_owned())).unwrap();
            let all: Vec<&str> = body["x_portcullis_blocked"]
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_str().unwrap())
                .collect();
            assert_eq!((all.len(), &all[..listed.len()]), (count, &listed[..]));
            assert_eq!(body["a"], 1);
        }
    }
}
