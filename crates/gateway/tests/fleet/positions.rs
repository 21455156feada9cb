//! Checks of one gateway that see what was written through another.

use serde_json::{Value, json};

use crate::cluster::cluster;
use crate::strait::{FOLLOWING, Strait};
use crate::support::{Answer, Gateway};
use crate::{config, nodes, start};

const CHECK: &str = "/senders/support/check";

fn number(n: usize) -> String {
    format!("+467320{:05}", 11_000 + n)
}

fn position(written: &Answer) -> String {
    written.ok();
    written.header("portcullis-position").to_owned()
}

fn check(gateway: &Gateway, position: &str, number: &str) -> Value {
    gateway.check_since(CHECK, position, json!({ "number": number, "direction": "inbound" })).ok().clone()
}

#[test]
fn a_write_holds_at_once_on_another_gateway_that_is_asked_with_its_position() {
    let [a, b] = nodes(&cluster().database(), "");
    let mut by_plugin = 0;
    let mut verdict = |gateway: &Gateway, position: &str, number: &str| {
        let checked = check(gateway, position, number);
        by_plugin += usize::from(checked["source"] == "plugin");
        checked["verdict"].clone()
    };
    for n in 0..50 {
        let (here, there) = if n % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let blocked = position(&here.block(&number(n)));
        assert_eq!(verdict(there, &blocked, &number(n)), "block", "{n}");
        let body = json!({ "number": number(n) });
        let lifted = position(&there.delete("/senders/support/entries", body));
        assert_eq!(verdict(here, &lifted, &number(n)), "allow", "{n}");
    }
    // Their plugins are waited for. The ledger answers if the machine is busy elsewhere.
    assert!(by_plugin > 50, "{by_plugin} of 100");
}

#[test]
fn the_ledger_answers_for_a_gateway_that_does_not_follow_in_time() {
    let url = cluster().database();
    let strait = Strait::to(&url);
    let [a, b] = start([config(&url, "n0", ""), config(&strait.url(), "n1", "")]);
    a.block(&number(0));
    b.until("following", |gateway| gateway.verdict(&number(0)) == "block");

    strait.hold(FOLLOWING);
    let own = position(&a.block(&number(1)));
    let wide = position(&a.post("/tenant/entries", json!({ "number": number(2) })));
    assert_eq!(b.verdict(&number(1)), "allow", "it does not follow");
    let from_ledger = |verdict: &str, list: Option<&str>| {
        let mut answer = json!({ "verdict": verdict, "direction": "inbound", "source": "ledger" });
        if let Some(list) = list {
            answer["list"] = list.into();
            answer["blocked"] = true.into();
        }
        answer
    };
    assert_eq!(check(&b, &own, &number(1)), from_ledger("block", Some("sender")));
    assert_eq!(check(&b, &format!("{own}, {wide}"), &number(2)), from_ledger("block", Some("tenant")));
    assert_eq!(check(&b, &own, &number(3)), from_ledger("allow", None));
    let many = json!({ "numbers": [number(0), number(1), number(3)], "direction": "outbound" });
    assert_eq!(
        *b.check_since(CHECK, &own, many).ok(),
        json!({ "blocked": [number(0), number(1)], "checked": 3, "direction": "outbound", "source": "ledger" })
    );
    // A list that a check does not consult makes no difference to it.
    let sales = json!({ "number": number(1), "direction": "inbound" });
    assert_eq!(b.check_since("/senders/sales/check", &own, sales).ok()["source"], "plugin");

    strait.release();
    b.until("following", |gateway| gateway.verdict(&number(1)) == "block");
    assert_eq!(check(&b, &own, &number(1))["source"], "plugin");
}
