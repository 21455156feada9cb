//! Positions of writes, with a gateway that is alone.

use serde_json::json;

use super::support::{GLOBEX, Gateway};

const CHECK: &str = "/senders/support/check";
const POSITION: &str = "portcullis-position";

fn one() -> serde_json::Value {
    json!({ "number": "+46732001122", "direction": "inbound" })
}

#[test]
fn each_write_has_a_position_that_its_gateway_has_reached() {
    let mut gateway = Gateway::start();
    let body = json!({ "number": "+46732001122" });
    let written = [
        gateway.post("/senders/support/entries", body.clone()),
        // A write that changes nothing has one, too.
        gateway.post("/senders/support/entries", body.clone()),
        gateway
            .post("/tenant/entries", json!({ "numbers": ["+46732001122", "+46732001123"], "brief": true })),
        gateway.api("DELETE", "/tenant/entries/%2B46732001122", super::support::ACME, None),
        gateway.delete("/senders/support/entries", body.clone()),
    ];
    for answer in &written {
        answer.ok();
        let position = answer.header(POSITION);
        assert!((1..=128).contains(&position.len()), "{position}");
        for path in [CHECK, "/tenant/check"] {
            let checked = gateway.check_since(path, position, one());
            assert_eq!(
                (&checked.ok()["verdict"], &checked.json["source"]),
                (&json!("allow"), &json!("plugin"))
            );
        }
    }
    let many = json!({ "numbers": ["+46732001122", "+46732001123"], "direction": "outbound" });
    let all = written.iter().map(|answer| answer.header(POSITION)).collect::<Vec<_>>().join(", ");
    let checked = gateway.check_since(CHECK, &all, many);
    assert_eq!(checked.ok()["blocked"], json!(["+46732001123"]));

    // What writes nothing has none.
    let trial =
        gateway.post("/senders/support/entries", json!({ "number": "+46732001122", "dry_run": true }));
    assert_eq!((trial.status, trial.header(POSITION)), (200, ""));
    assert_eq!(gateway.check_since(CHECK, &all, one()).header(POSITION), "");

    gateway.kill_and_restart();
    assert_eq!(gateway.check_since(CHECK, &all, one()).ok()["source"], "plugin");
}

#[test]
fn what_is_no_position_of_the_tenant_is_refused_and_says_nothing_of_others() {
    let (gateway, elsewhere) = (Gateway::start(), Gateway::start());
    let own = gateway.block("+46732001122").header(POSITION).to_owned();
    let body = Some(json!({ "number": "+46732001122" }));
    let others = gateway.api("POST", "/senders/support/entries", GLOBEX, body).header(POSITION).to_owned();
    let foreign = elsewhere.block("+46732001122").header(POSITION).to_owned();
    let changed = format!("{}{}", &own[..20], own[20..].replace(|_: char| true, "A"));

    let refusal = |position: &str| {
        for path in [CHECK, "/tenant/check"] {
            let refused = gateway.check_since(path, position, one());
            refused.error(400, "invalid_request");
            assert_eq!(
                refused.json["error"]["details"][0]["field"], "Portcullis-Position",
                "{}",
                refused.json
            );
        }
        gateway.check_since(CHECK, position, one()).json.clone()
    };
    let none = [&others, &foreign, &changed, "1.", "1.AAAA"].map(refusal);
    assert!(none.iter().all(|refused| *refused == none[0]), "{none:?}");
    let nine = [own.as_str(); 9].join(",");
    let newer = own.replacen("1.", "2.", 1);
    for position in ["", " ", "0", "1", "1.=", &nine, &newer, &own[2..], &own[1..], &format!("{own},")] {
        refusal(position);
    }
    gateway.check_since(CHECK, &[own.as_str(); 8].join(","), one()).ok();
}
