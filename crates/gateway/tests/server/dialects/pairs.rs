//! Pairs of dialects: what one does, the others see, as far as their directions allow.

use serde_json::{Value, json};

use super::super::support::{Answer, Gateway};
use super::{META, NUMBER, SINCH, WHATS91, bearer, kaleyra, ninety_nine, passes, users, vendors_with};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Via {
    Sinch,
    NinetyNine,
    Whats91,
    Kaleyra,
    Meta,
    Native,
}

const ALL: [Via; 6] = [Via::Sinch, Via::NinetyNine, Via::Whats91, Via::Kaleyra, Via::Meta, Via::Native];

impl Via {
    /// The directions that its entries cover: inbound, outbound.
    fn covers(self) -> (bool, bool) {
        match self {
            Via::Sinch => (true, false),
            Via::Whats91 => (false, true),
            _ => (true, true),
        }
    }

    fn block(self, gateway: &Gateway, number: &str) {
        let answer = match self {
            Via::Sinch => bearer(gateway, "POST", SINCH, Some(json!({ "numbers": [number] }))),
            Via::NinetyNine => ninety_nine(gateway, "block", Some(number)),
            Via::Whats91 => {
                let body = json!({ "senderId": NUMBER, "phone": number });
                bearer(gateway, "POST", WHATS91, Some(body))
            }
            Via::Kaleyra => kaleyra(gateway, "POST", "", Some(users(&[number]))),
            Via::Meta => bearer(gateway, "POST", META, Some(users(&[number]))),
            Via::Native => gateway.block(number),
        };
        assert_eq!(answer.status, 200, "{self:?}: {}", answer.text);
        assert_ne!(answer.json["status"], "FAIL", "{self:?}: {}", answer.text);
    }

    fn unblock(self, gateway: &Gateway, number: &str) {
        let answer = match self {
            Via::Sinch => bearer(gateway, "DELETE", SINCH, Some(json!({ "numbers": [number] }))),
            Via::NinetyNine => ninety_nine(gateway, "unblock", Some(number)),
            Via::Whats91 => {
                let found =
                    bearer(gateway, "GET", &format!("{WHATS91}?senderId={NUMBER}&search={number}"), None);
                // A number that is not listed has no uid to delete.
                let Some(entry) = found.ok()["data"]["items"].as_array().unwrap().first().cloned() else {
                    return;
                };
                let uid = entry["blacklistUid"].as_str().unwrap();
                bearer(gateway, "DELETE", &format!("{WHATS91}/{uid}?senderId={NUMBER}"), None)
            }
            Via::Kaleyra => kaleyra(gateway, "DELETE", "", Some(users(&[number]))),
            Via::Meta => bearer(gateway, "DELETE", META, Some(users(&[number]))),
            Via::Native => gateway.delete("/senders/support/entries", json!({ "number": number })),
        };
        assert_eq!(answer.status, 200, "{self:?}: {}", answer.text);
    }

    fn lists(self, gateway: &Gateway, number: &str) -> bool {
        let (answer, pointer, field) = match self {
            Via::Sinch => (bearer(gateway, "GET", SINCH, None), "/numbers", ""),
            Via::NinetyNine => (ninety_nine(gateway, "getBlockedList", None), "/numbers", ""),
            Via::Whats91 => {
                let path = format!("{WHATS91}?senderId={NUMBER}&limit=1000");
                (bearer(gateway, "GET", &path, None), "/data/blacklistEntries", "normalizedPhone")
            }
            Via::Kaleyra => (kaleyra(gateway, "GET", "?limit=1000", None), "/data", "wa_id"),
            Via::Meta => (bearer(gateway, "GET", &format!("{META}?limit=1000"), None), "/data", "wa_id"),
            Via::Native => (gateway.get("/senders/support/entries?limit=1000"), "/entries", "number"),
        };
        let entries = answer.ok().pointer(pointer).unwrap().as_array().unwrap();
        entries.iter().any(|entry| {
            let text = if field.is_empty() { entry } else { &entry[field] };
            text.as_str().unwrap().trim_start_matches('+') == number
        })
    }
}

#[test]
fn what_one_dialect_blocks_the_others_see_and_lift_as_its_direction_allows() {
    let gateway = vendors_with("dialects.kaleyra_lifts_foreign = true", "");
    let mut index = 0;
    for made in ALL {
        for lifted in ALL {
            index += 1;
            let number = super::nth(index);
            let what = format!("blocked through {made:?}, lifted through {lifted:?}");
            made.block(&gateway, &number);
            let (inbound, outbound) = made.covers();
            assert_eq!(passes(&gateway, &number), (!inbound, !outbound), "{what}");
            let sees = |via: Via, (inbound, outbound): (bool, bool)| match via {
                // The native API sees every entry that blocks.
                Via::Native => inbound || outbound,
                via => {
                    let (wants_in, wants_out) = via.covers();
                    (inbound || !wants_in) && (outbound || !wants_out)
                }
            };
            for via in ALL {
                let seen = sees(via, (inbound, outbound));
                assert_eq!(via.lists(&gateway, &number), seen, "{what}: {via:?} lists it");
            }

            lifted.unblock(&gateway, &number);
            // A dialect lifts the directions that it covers, of an entry that it sees.
            let left = match (sees(lifted, (inbound, outbound)), lifted.covers()) {
                (false, _) => (inbound, outbound),
                (true, (takes_in, takes_out)) => (inbound && !takes_in, outbound && !takes_out),
            };
            assert_eq!(passes(&gateway, &number), (!left.0, !left.1), "{what}");
            for via in ALL {
                assert_eq!(via.lists(&gateway, &number), sees(via, left), "{what}: {via:?} lists it after");
            }
            // The number can be blocked again.
            made.block(&gateway, &number);
            let now = (left.0 || inbound, left.1 || outbound);
            assert_eq!(passes(&gateway, &number), (!now.0, !now.1), "{what}, and blocked again");
        }
    }
}

#[test]
fn each_dialect_is_recorded_as_the_interface_of_its_blocks() {
    let gateway = vendors_with("", "");
    for (index, (via, name)) in
        ALL.into_iter().zip(["sinch", "ninety_nine", "whats91", "kaleyra", "meta", "native"]).enumerate()
    {
        let number = super::nth(index as u64);
        via.block(&gateway, &number);
        let entry = gateway.get(&format!("/senders/support/entries/{number}"));
        let hold = &entry.ok()["holds"][0];
        assert_eq!((&hold["kind"], &hold["made_by"]["interface"]), (&json!("operator"), &json!(name)));
        assert_eq!(hold["made_by"]["address"], "127.0.0.1");
        assert!(hold["made_by"]["name"].as_str().unwrap().starts_with("token-"));
    }
}

/// The numbers that a dialect reports as not unblocked, each with the vendor's error code.
fn kept(via: Via, answer: &Answer) -> Vec<(String, u64)> {
    let lists = if via == Via::Kaleyra { &answer.json["data"] } else { &answer.json };
    let failed = lists["block_users"]["failed_users"].as_array().cloned().unwrap_or_default();
    let failure = |user: &Value| {
        (user["input"].as_str().unwrap().to_owned(), user["errors"][0]["code"].as_u64().unwrap())
    };
    failed.iter().map(failure).collect()
}

#[test]
fn no_dialect_claims_to_have_lifted_an_opt_out() {
    let both: &[&str] = &["inbound", "outbound"];
    for operator in [None, Some(both)] {
        for (opted_out, index) in [(&["outbound"][..], 1), (&["inbound"][..], 2), (both, 3)] {
            let gateway = vendors_with("dialects.kaleyra_lifts_foreign = true", "");
            let (number, other) = (super::nth(index), super::nth(10 + index));
            let block = |number: &str, hold: &str, directions: &[&str]| {
                let body = json!({ "number": number, "hold": hold, "directions": directions });
                gateway.post("/senders/support/entries", body).ok();
            };
            block(&number, "opt_out", opted_out);
            if let Some(directions) = operator {
                block(&number, "operator", directions);
            }
            let before = passes(&gateway, &number);
            for via in [Via::NinetyNine, Via::Kaleyra, Via::Meta] {
                let what = format!("{via:?}: {opted_out:?}, {operator:?}");
                Via::Native.block(&gateway, &other);
                let answer = match via {
                    Via::NinetyNine => ninety_nine(&gateway, "unblock", Some(&number)),
                    Via::Kaleyra => kaleyra(&gateway, "DELETE", "", Some(users(&[&other, &number]))),
                    _ => bearer(&gateway, "DELETE", META, Some(users(&[&other, &number]))),
                };
                assert_eq!(passes(&gateway, &number), before, "{what}");
                match via {
                    Via::NinetyNine => {
                        assert_eq!(answer.json["status"], "FAIL", "{what}: {}", answer.text);
                        assert_eq!(answer.json["reason"], 5, "{what}");
                        continue;
                    }
                    Via::Kaleyra => assert_eq!(answer.json["code"], "WA400", "{what}: {}", answer.text),
                    _ => assert_eq!(answer.json["error"]["code"], 139_100, "{what}: {}", answer.text),
                }
                assert_eq!(answer.status, 400, "{what}");
                assert_eq!(kept(via, &answer), [(number.clone(), 131_050)], "{what}");
                assert_eq!(passes(&gateway, &other), (true, true), "{what}");
            }
            // These dialects see one direction only.
            let is_kept = |direction: &str| opted_out.contains(&direction);
            let removed = bearer(&gateway, "DELETE", SINCH, Some(json!({ "numbers": [number] })));
            assert_eq!(removed.status, if is_kept("inbound") { 400 } else { 200 }, "{}", removed.text);
            let found =
                bearer(&gateway, "GET", &format!("{WHATS91}?senderId={NUMBER}&search={number}"), None);
            let Some(entry) = found.ok()["data"]["items"].as_array().unwrap().first().cloned() else {
                assert!(!is_kept("outbound"));
                continue;
            };
            let path = format!("{WHATS91}/{}?senderId={NUMBER}", entry["blacklistUid"].as_str().unwrap());
            let removed = bearer(&gateway, "DELETE", &path, None);
            assert_eq!(removed.status, if is_kept("outbound") { 400 } else { 200 }, "{}", removed.text);
        }
    }
}

#[test]
fn no_dialect_claims_to_have_lifted_a_tenant_wide_block() {
    let both: &[&str] = &["inbound", "outbound"];
    let lifts_all = "dialects.kaleyra_lifts_foreign = true\ndialects.lift_opt_outs = true";
    for settings in ["dialects.kaleyra_lifts_foreign = true", lifts_all] {
        for (index, (hold, directions, code)) in [
            ("opt_out", &["outbound"][..], 131_050),
            ("opt_out", both, 131_050),
            ("operator", &["outbound"][..], 139_100),
            ("operator", both, 139_100),
        ]
        .into_iter()
        .enumerate()
        {
            let gateway = vendors_with(settings, "");
            let number = super::nth(index as u64);
            let what = format!("{settings}: {hold}, {directions:?}");
            let wide = json!({ "number": number, "hold": hold, "directions": directions });
            gateway.post("/tenant/entries", wide).ok();
            // The sender's own block is not lifted, either.
            Via::Native.block(&gateway, &number);
            let is_kept_by_sender =
                || gateway.get(&format!("/senders/support/entries/{number}")).ok()["directions"].clone();
            let answer = ninety_nine(&gateway, "unblock", Some(&number));
            assert_eq!(
                (&answer.json["status"], &answer.json["reason"]),
                (&json!("FAIL"), &json!(5)),
                "{what}"
            );
            let answer = kaleyra(&gateway, "DELETE", "", Some(users(&[&number])));
            assert_eq!((answer.status, &answer.json["code"]), (400, &json!("WA400")), "{what}");
            assert_eq!(kept(Via::Kaleyra, &answer), [(number.clone(), code)], "{what}");
            let answer = bearer(&gateway, "DELETE", META, Some(users(&[&number])));
            assert_eq!(answer.status, 400, "{what}: {}", answer.text);
            assert_eq!(kept(Via::Meta, &answer), [(number.clone(), code)], "{what}");
            let path = format!("{WHATS91}?senderId={NUMBER}&search={number}");
            let found = bearer(&gateway, "GET", &path, None).ok()["data"]["items"][0].clone();
            let path = format!("{WHATS91}/{}?senderId={NUMBER}", found["blacklistUid"].as_str().unwrap());
            assert_eq!(bearer(&gateway, "DELETE", &path, None).status, 400, "{what}");
            assert_eq!(is_kept_by_sender(), json!(both), "{what}");
            // A dialect ignores blocks of the other direction.
            let removed = bearer(&gateway, "DELETE", SINCH, Some(json!({ "numbers": [number] })));
            assert_eq!(removed.status, if directions == both { 400 } else { 200 }, "{}", removed.text);
            // Without the tenant-wide block, they can unblock again.
            gateway.delete("/tenant/entries", json!({ "number": number, "hold": hold })).ok();
            bearer(&gateway, "DELETE", META, Some(users(&[&number]))).ok();
            Via::Native.unblock(&gateway, &number);
            assert_eq!(passes(&gateway, &number), (true, true), "{what}");
        }
    }
}

#[test]
fn an_opt_out_under_another_spelling_is_kept_too() {
    let gateway = vendors_with("dialects.kaleyra_lifts_foreign = true", "");
    let opt_out = json!({ "number": "5215512345678", "hold": "opt_out", "directions": ["outbound"] });
    gateway.post("/senders/support/entries", opt_out).ok();
    let number = "525512345678";
    assert_eq!(ninety_nine(&gateway, "unblock", Some(number)).json["status"], "FAIL");
    let answer = kaleyra(&gateway, "DELETE", "", Some(users(&[number])));
    assert_eq!(kept(Via::Kaleyra, &answer), [(number.to_owned(), 131_050)]);
    let answer = bearer(&gateway, "DELETE", META, Some(users(&[number])));
    assert_eq!(kept(Via::Meta, &answer), [(number.to_owned(), 131_050)]);
    // A tenant may allow it.
    let gateway = vendors_with("dialects.lift_opt_outs = true", "");
    let opt_out = json!({ "number": number, "hold": "opt_out" });
    gateway.post("/senders/support/entries", opt_out).ok();
    bearer(&gateway, "DELETE", META, Some(users(&["5215512345678"]))).ok();
    assert_eq!(passes(&gateway, number), (true, true));
}
