//! What there is in the end after many writers at several gateways.

use std::array;
use std::collections::{BTreeSet, HashMap};
use std::thread;

use serde_json::{Value, json};

use crate::cluster::cluster;
use crate::support::Gateway;
use crate::{config, start};

const GATEWAYS: usize = 3;
/// Each list has writers at each gateway.
const LISTS: usize = 8;
const WRITERS: usize = 64;
/// The numbers of each writer, which no other writer has.
const NUMBERS: usize = 40;
const TOKEN: &str = "crowd-secret";

/// How many commits there are: a million in the long form.
fn commits() -> usize {
    if std::env::var_os("PORTCULLIS_SOAK").is_some() { 1_000_000 } else { 4_000 }
}

fn list_of(writer: usize) -> usize {
    writer % LISTS
}

fn number(writer: usize, n: usize) -> String {
    format!("+4673{:07}", 2_000_000 + writer * NUMBERS + n)
}

/// Blocks and unblocks a writer's numbers, and returns which are blocked in the end. Each write is a commit that changes an entry.
fn write(gateway: &Gateway, writer: usize, writes: usize) -> BTreeSet<String> {
    let path = format!("/senders/s{}/entries", list_of(writer));
    let mut blocked = BTreeSet::new();
    let mut random = writer as u64;
    for _ in 0..writes {
        // Knuth's numbers; the upper bits are the random ones.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = number(writer, (random >> 33) as usize % NUMBERS);
        let method = if blocked.remove(&number) {
            "DELETE"
        } else {
            blocked.insert(number.clone());
            "POST"
        };
        write_once(gateway, method, &path, &number);
    }
    blocked
}

/// Writes, and again as long as the answer is that nothing was written, as when the machine is too busy for the database.
fn write_once(gateway: &Gateway, method: &str, path: &str, number: &str) {
    loop {
        let answer = gateway.api(method, path, TOKEN, Some(json!({ "number": number })));
        if answer.status != 503 || answer.json["error"]["code"] != "unavailable" {
            answer.ok();
            return;
        }
    }
}

/// The whole history of a list, the latest change first.
fn history(gateway: &Gateway, list: usize) -> Vec<Value> {
    let mut records = Vec::new();
    let mut before = String::new();
    loop {
        let page = gateway.api("GET", &format!("/senders/s{list}/history?limit=1000{before}"), TOKEN, None);
        records.extend(page.ok()["records"].as_array().unwrap().iter().cloned());
        match page.json["older"].as_u64() {
            Some(older) => before = format!("&before={older}"),
            None => return records,
        }
    }
}

/// One after the other, each from where the one before it has led. Returns the numbers that are blocked after the last.
fn replay(history: &[Value]) -> BTreeSet<String> {
    let mut states: HashMap<&str, &Value> = HashMap::new();
    let nothing = json!({ "directions": [], "holds": [] });
    for (sequence, record) in (1..).zip(history.iter().rev()) {
        assert_eq!(record["sequence"], sequence, "no change is missing, and none is there twice");
        let number = record["number"].as_str().unwrap();
        let before = states.insert(number, &record["after"]).unwrap_or(&nothing);
        assert_eq!(record["before"], *before, "{record}");
    }
    let blocked = states.into_iter().filter(|(_, state)| state["directions"] != json!([]));
    blocked.map(|(number, _)| number.to_owned()).collect()
}

#[test]
fn after_many_commits_each_list_has_one_history_and_all_gateways_agree_with_it() {
    let senders: String = (0..LISTS).map(|list| format!("[[tenants.senders]]\nid = \"s{list}\"\n")).collect();
    let crowd =
        format!("\n[[tenants]]\nid = \"crowd\"\ntokens = [\"{TOKEN}\"]\ndefault_region = \"SE\"\n{senders}");
    let url = cluster().database();
    let gateways: [Gateway; GATEWAYS] =
        start(array::from_fn(|node| config(&url, &format!("n{node}"), "") + &crowd));
    let each = commits() / WRITERS;
    let blocked: Vec<BTreeSet<String>> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let gateway = &gateways[writer / LISTS % GATEWAYS];
                scope.spawn(move || write(gateway, writer, each))
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    for list in 0..LISTS {
        let writers = || (0..WRITERS).filter(|writer| list_of(*writer) == list);
        let expected: BTreeSet<String> = writers().flat_map(|writer| &blocked[writer]).cloned().collect();
        let history = history(&gateways[list % GATEWAYS], list);
        assert_eq!(history.len(), each * writers().count());
        assert_eq!(replay(&history), expected);
        for gateway in &gateways {
            gateway.until("the same as the ledger", |gateway| {
                let numbers: Vec<String> =
                    writers().flat_map(|writer| (0..NUMBERS).map(move |n| number(writer, n))).collect();
                let body = json!({ "numbers": numbers, "direction": "inbound" });
                let checked = gateway.api("POST", &format!("/senders/s{list}/check"), TOKEN, Some(body));
                let found = checked.ok()["blocked"].as_array().unwrap().iter();
                found.map(|number| number.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>() == expected
            });
        }
    }
}
