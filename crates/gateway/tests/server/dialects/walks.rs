//! Paging while the list changes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::support::{Answer, Gateway};
use super::{KALEYRA, META, bearer, block_many, kaleyra, nth, vendors};

/// Walks a list page by page, and changes it in between: numbers above 500 come and go, and so do some at the page's
/// edges. None of the others must be skipped or repeated.
fn walk(gateway: &Gateway, get: impl Fn(&str) -> Answer) {
    block_many(gateway, 0..300);
    let unblock = |number: &str| {
        gateway.delete("/senders/support/entries", serde_json::json!({ "number": number })).ok();
    };
    let mut seen: Vec<String> = Vec::new();
    let mut gone: BTreeSet<String> = BTreeSet::new();
    let mut after = String::new();
    for turn in 0.. {
        let page = get(&format!("?limit=7{after}"));
        let ids = page.ok()["data"].as_array().unwrap().iter().map(|user| user["wa_id"].as_str().unwrap());
        let ids: Vec<String> = ids.map(str::to_owned).collect();
        seen.extend(ids.clone());
        let Some(cursor) = page.json["paging"]["cursors"]["after"].as_str() else { break };
        after = format!("&after={cursor}");
        block_many(gateway, 500 + turn..501 + turn);
        // The entry of the cursor, and the one before it.
        for number in [ids.last(), ids.first()].into_iter().flatten() {
            unblock(number);
            gone.insert(number.clone());
        }
        unblock(&nth(turn));
        gone.insert(nth(turn));
    }
    let unique: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(unique.len(), seen.len(), "none is repeated");
    for number in (0..300).map(nth).filter(|number| !gone.contains(number)) {
        assert!(unique.contains(&number), "{number} is skipped");
    }
}

#[test]
fn kaleyra_s_paging_neither_skips_nor_repeats_while_the_list_changes() {
    let gateway = vendors();
    walk(&gateway, |query| kaleyra(&gateway, "GET", query, None));
}

#[test]
fn meta_s_paging_neither_skips_nor_repeats_while_the_list_changes() {
    let gateway = vendors();
    walk(&gateway, |query| bearer(&gateway, "GET", &format!("{META}{query}"), None));
}

#[test]
fn a_before_cursor_leads_back_to_the_previous_page() {
    let gateway = vendors();
    block_many(&gateway, 0..40);
    let ids = |answer: &Answer| -> Vec<Value> {
        answer.ok()["data"].as_array().unwrap().iter().map(|user| user["wa_id"].clone()).collect()
    };
    let first = kaleyra(&gateway, "GET", "?limit=15", None);
    let cursor =
        |answer: &Answer, which: &str| answer.json["paging"]["cursors"][which].as_str().unwrap().to_owned();
    let second = kaleyra(&gateway, "GET", &format!("?limit=15&after={}", cursor(&first, "after")), None);
    let back = kaleyra(&gateway, "GET", &format!("?limit=15&before={}", cursor(&second, "before")), None);
    assert_eq!(ids(&back), ids(&first));
    let before_all = kaleyra(&gateway, "GET", &format!("?before={}", cursor(&first, "before")), None);
    assert_eq!(before_all.ok()["data"], serde_json::json!([]));
    // Cursors of both dialects are interchangeable, because they refer to the same list.
    assert!(KALEYRA != META);
    let same = bearer(&gateway, "GET", &format!("{META}?limit=15&after={}", cursor(&first, "after")), None);
    assert_eq!(ids(&same), ids(&second));
}
