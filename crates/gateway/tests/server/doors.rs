//! All interfaces read numbers in the same way. A "door" is an operation of an API or a command that takes a number.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::support::{ACME, Answer, Gateway, SERVER};
use super::traffic::stand::Stand;
use super::traffic::{APP_SECRET, payload, signed, text, webhook};

const PHONE_ID: &str = "106540352242922";
const OWN: &str = "46700000001";

/// A gateway with a Swedish tenant, an upstream and a callback.
struct World {
    gateway: Gateway,
    upstream: Stand,
    callback: Stand,
}

impl World {
    fn new() -> Self {
        let (upstream, callback) = (Stand::good(), Stand::good());
        let config = format!(
            r#"{SERVER}
[meta]
upstream = "{}"
app_secret = "{APP_SECRET}"

[[tenants]]
id = "acme"
tokens = ["acme-secret"]
default_region = "SE"
sid = "HXAP16ACME"
opt_out.languages = []
dialects.kaleyra_lifts_foreign = true

[[tenants.senders]]
id = "support"
number = "{OWN}"
bot_id = "acmebot"
phone_number_id = "{PHONE_ID}"
callback_url = "{}"
"#,
            upstream.url(),
            callback.url()
        );
        World { gateway: Gateway::with(&config), upstream, callback }
    }

    fn entries(&self) -> Vec<Value> {
        let listed = self.gateway.get("/senders/support/entries?limit=1000");
        listed.ok()["entries"].as_array().unwrap().clone()
    }

    /// The numbers that the list blocks.
    fn listed(&self) -> BTreeSet<String> {
        self.entries().iter().map(|entry| entry["number"].as_str().unwrap().to_owned()).collect()
    }

    /// The number of entries that block inbound messages, which every door that lifts removes.
    fn shut_out(&self) -> usize {
        let is_shut_out =
            |entry: &&Value| entry["directions"].as_array().unwrap().contains(&json!("inbound"));
        self.entries().iter().filter(is_shut_out).count()
    }

    fn clear(&self) {
        for entry in self.entries() {
            let id = entry["id"].as_str().unwrap();
            self.gateway.api("DELETE", &format!("/senders/support/entries/{id}?hold=all"), ACME, None).ok();
        }
        self.upstream.forget();
        self.callback.forget();
    }

    /// Runs a command, with a file if it reads one.
    fn command(&self, arguments: &[&str], file: Option<(&str, String)>) -> Told {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg(arguments[0]).args(["--sender", "support"]).args(&arguments[1..]);
        command.current_dir(folder.path());
        if let Some((name, content)) = file {
            std::fs::write(folder.path().join(name), content).unwrap();
            command.arg(name);
        }
        command.env("PORTCULLIS_URL", self.gateway.url()).env("PORTCULLIS_TOKEN", ACME);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        match output.status.code() {
            Some(0) if said.contains("block") => Told::Blocked,
            Some(0) => Told::Taken,
            // `check` exits with 1 for a blocked number.
            Some(1) if arguments[0] == "check" && said.contains("block") => Told::Blocked,
            _ => Told::Refused,
        }
    }

    fn dialect(&self, method: &str, path: &str, header: (&str, &str), body: Value) -> Told {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.gateway.url()))
            .header(header.0, header.1)
            .header("content-type", "application/json");
        told(&self.gateway.send(request.body(body.to_string()).unwrap()))
    }

    fn send(&self, path: &str, to: &str) -> Told {
        let body = json!({
            "messaging_product": "whatsapp", "to": to, "type": "text", "text": { "body": "Hello" },
        });
        let answer = self.gateway.call("POST", path, ACME, Some(body.to_string()));
        let reached = !self.upstream.received().is_empty();
        match (answer.status, answer.json["error"]["code"].as_u64()) {
            (200, _) if reached => Told::Taken,
            (400, Some(130_403)) if !reached => Told::Blocked,
            (400, Some(100)) if !reached => Told::Refused,
            other => panic!("{to}: {other:?}, {}", answer.text),
        }
    }

    fn receive(&self, body: &Value) -> Told {
        let body = body.to_string();
        let answer = webhook(&self.gateway, &body, &signed(body.as_bytes()));
        match (answer.status, self.callback.received().is_empty()) {
            (200, false) => Told::Taken,
            (200, true) => Told::Blocked,
            (503, true) => Told::Refused,
            other => panic!("{other:?}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Taken,
    Blocked,
    Refused,
}

/// Interprets a response of the native API or a dialect.
fn told(answer: &Answer) -> Told {
    let failed =
        answer.json["status"] == "FAIL" || answer.json.pointer("/block_users/failed_users").is_some();
    match (answer.status, &answer.json["verdict"], &answer.json["error"]["code"]) {
        (200, verdict, _) if verdict == "block" => Told::Blocked,
        (200, ..) if answer.json["blocked"].as_array().is_some_and(|blocked| !blocked.is_empty()) => {
            Told::Blocked
        }
        (200 | 201, ..) if !failed => Told::Taken,
        (403, _, code) if code == "blocked" => Told::Blocked,
        (200..=299 | 400..=404, ..) => Told::Refused,
        other => panic!("{other:?}: {}", answer.text),
    }
}

/// What a door does with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Blocks,
    Lifts,
    Asks,
    /// Shows an entry.
    Shows,
}
use Deed::{Asks, Blocks, Lifts, Shows};

/// Who writes the numbers that a door reads, and thus how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    People,
    Vendors,
    /// Recipients of Cloud API messages, as Meta reads them.
    Messages,
    /// Files written by other programs.
    Files,
    /// WhatsApp itself, in international digits.
    WhatsApp,
}
use Writes::{Files, Messages, People, Vendors, WhatsApp};

struct Door {
    name: &'static str,
    deed: Deed,
    writes: Writes,
    goes_through: fn(&World, &str) -> Told,
}

const CSV: &str = "number\n";
const BEARER: (&str, &str) = ("authorization", "Bearer acme-secret");
const API_KEY: (&str, &str) = ("api-key", ACME);
const KALEYRA: &str = "/v2/HXAP16ACME/whatsapp/46700000001/block_users";
const META: &str = "/v25.0/106540352242922/block_users";
const SINCH: &str = "/whatsapp/v1/acmebot/provision/blacklist";
const WHATS91: &str = "/api/v2/message-blacklist";

fn escaped(text: &str) -> String {
    percent_encode(text.as_bytes())
}

fn percent_encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

fn users(number: &str) -> Value {
    json!({ "messaging_product": "whatsapp", "block_users": [{ "user": number }] })
}

fn ninety_nine(number: &str) -> Value {
    json!({ "apiKey": ACME, "from": OWN, "whatsapp": number })
}

/// All doors, named after the operations of the native API and the dialects, and the commands.
const DOORS: &[Door] = &[
    Door {
        name: "POST /senders/{sender}/check",
        deed: Asks,
        writes: People,
        goes_through: |world, number| {
            let body = json!({ "number": number, "direction": "outbound" });
            told(&world.gateway.post("/senders/support/check", body))
        },
    },
    Door {
        name: "POST /senders/{sender}/check of several",
        deed: Asks,
        writes: People,
        goes_through: |world, number| {
            let body = json!({ "numbers": ["+4915112345678", number], "direction": "outbound" });
            told(&world.gateway.post("/senders/support/check", body))
        },
    },
    Door {
        name: "POST /senders/{sender}/entries",
        deed: Blocks,
        writes: People,
        goes_through: |world, number| {
            told(&world.gateway.post("/senders/support/entries", json!({ "number": number })))
        },
    },
    Door {
        name: "POST /senders/{sender}/entries of several",
        deed: Blocks,
        writes: People,
        goes_through: |world, number| {
            told(&world.gateway.post("/senders/support/entries", json!({ "numbers": [number] })))
        },
    },
    Door {
        name: "POST /senders/{sender}/entries one by one",
        deed: Blocks,
        writes: People,
        goes_through: |world, number| {
            told(
                &world.gateway.post("/senders/support/entries", json!({ "entries": [{ "number": number }] })),
            )
        },
    },
    Door {
        name: "DELETE /senders/{sender}/entries",
        deed: Lifts,
        writes: People,
        goes_through: |world, number| {
            told(&world.gateway.delete("/senders/support/entries", json!({ "numbers": [number] })))
        },
    },
    Door {
        name: "GET /senders/{sender}/entries/{entry}",
        deed: Shows,
        writes: People,
        goes_through: |world, number| {
            told(&world.gateway.get(&format!("/senders/support/entries/{}", escaped(number))))
        },
    },
    Door {
        name: "DELETE /senders/{sender}/entries/{entry}",
        deed: Lifts,
        writes: People,
        goes_through: |world, number| {
            let path = format!("/senders/support/entries/{}", escaped(number));
            told(&world.gateway.api("DELETE", &path, ACME, None))
        },
    },
    Door {
        name: "GET /senders/{sender}/entries/{entry}/history",
        deed: Shows,
        writes: People,
        goes_through: |world, number| {
            told(&world.gateway.get(&format!("/senders/support/entries/{}/history", escaped(number))))
        },
    },
    Door {
        name: "POST /route",
        deed: Asks,
        writes: People,
        goes_through: |world, number| {
            let body = json!({ "sender": "support", "recipient": number, "direction": "outbound" });
            told(&world.gateway.post("/route", body))
        },
    },
    Door {
        name: "POST /route of inbound messages",
        deed: Asks,
        writes: People,
        goes_through: |world, number| {
            let body = json!({ "sender": number, "recipient": "support", "direction": "inbound" });
            told(&world.gateway.post("/route", body))
        },
    },
    Door {
        name: "portcullis check",
        deed: Asks,
        writes: People,
        goes_through: |world, number| {
            world.command(&["check", "--direction", "outbound", "--", number], None)
        },
    },
    Door {
        name: "portcullis block",
        deed: Blocks,
        writes: People,
        goes_through: |world, number| world.command(&["block", "--", number], None),
    },
    Door {
        name: "portcullis unblock",
        deed: Lifts,
        writes: People,
        goes_through: |world, number| world.command(&["unblock", "--", number], None),
    },
    Door {
        name: "portcullis history",
        deed: Shows,
        writes: People,
        goes_through: |world, number| world.command(&["history", "--", number], None),
    },
    Door {
        name: "portcullis import of CSV",
        deed: Blocks,
        writes: Files,
        goes_through: |world, number| {
            world.command(&["import"], Some(("numbers.csv", format!("{CSV}\"{number}\"\n"))))
        },
    },
    Door {
        name: "portcullis import of a plain list",
        deed: Blocks,
        writes: Files,
        goes_through: |world, number| {
            world.command(&["import"], Some(("numbers.txt", format!("{number}\n"))))
        },
    },
    Door {
        name: "portcullis import of NDJSON",
        deed: Blocks,
        writes: Files,
        goes_through: |world, number| {
            world.command(&["import"], Some(("numbers.ndjson", json!({ "number": number }).to_string())))
        },
    },
    Door {
        name: "portcullis import --unblock",
        deed: Lifts,
        writes: Files,
        goes_through: |world, number| {
            world.command(&["import", "--unblock"], Some(("numbers.csv", format!("{CSV}\"{number}\"\n"))))
        },
    },
    Door {
        name: "sinch POST",
        deed: Blocks,
        writes: Vendors,
        goes_through: |world, number| world.dialect("POST", SINCH, BEARER, json!({ "numbers": [number] })),
    },
    Door {
        name: "sinch DELETE",
        deed: Lifts,
        writes: Vendors,
        goes_through: |world, number| world.dialect("DELETE", SINCH, BEARER, json!({ "numbers": [number] })),
    },
    Door {
        name: "ninety_nine block",
        deed: Blocks,
        writes: Vendors,
        goes_through: |world, number| {
            world.dialect("POST", "/whatsapp/v2/block", BEARER, ninety_nine(number))
        },
    },
    Door {
        name: "ninety_nine unblock",
        deed: Lifts,
        writes: Vendors,
        goes_through: |world, number| {
            world.dialect("POST", "/whatsapp/v2/unblock", BEARER, ninety_nine(number))
        },
    },
    Door {
        name: "whats91 POST",
        deed: Blocks,
        writes: Vendors,
        goes_through: |world, number| {
            world.dialect("POST", WHATS91, BEARER, json!({ "senderId": OWN, "phone": number }))
        },
    },
    Door {
        name: "kaleyra POST",
        deed: Blocks,
        writes: Vendors,
        goes_through: |world, number| world.dialect("POST", KALEYRA, API_KEY, users(number)),
    },
    Door {
        name: "kaleyra DELETE",
        deed: Lifts,
        writes: Vendors,
        goes_through: |world, number| world.dialect("DELETE", KALEYRA, API_KEY, users(number)),
    },
    Door {
        name: "meta POST",
        deed: Blocks,
        writes: Vendors,
        goes_through: |world, number| world.dialect("POST", META, BEARER, users(number)),
    },
    Door {
        name: "meta DELETE",
        deed: Lifts,
        writes: Vendors,
        goes_through: |world, number| world.dialect("DELETE", META, BEARER, users(number)),
    },
    Door {
        name: "messages",
        deed: Asks,
        writes: Messages,
        goes_through: |world, number| world.send("/v25.0/106540352242922/messages", number),
    },
    Door {
        name: "messages without a version",
        deed: Asks,
        writes: Messages,
        goes_through: |world, number| world.send("/106540352242922/messages", number),
    },
    Door {
        name: "marketing_messages",
        deed: Asks,
        writes: Messages,
        goes_through: |world, number| world.send("/v25.0/106540352242922/marketing_messages", number),
    },
    Door {
        name: "webhook of messages",
        deed: Asks,
        writes: WhatsApp,
        goes_through: |world, number| world.receive(&payload(PHONE_ID, &[text(number, "1", "x")])),
    },
];

/// Operations and commands that take no number, and those of the tenant-wide list, which read numbers like those of a sender.
const WITHOUT: &[&str] = &[
    "GET /openapi.json",
    "GET /senders/{sender}/entries",
    "GET /senders/{sender}/history",
    "GET /senders/{sender}/status",
    "GET /tenant/status",
    "GET /status",
    "POST /tenant/check",
    "GET /tenant/entries",
    "POST /tenant/entries",
    "DELETE /tenant/entries",
    "GET /tenant/entries/{entry}",
    "DELETE /tenant/entries/{entry}",
    "GET /tenant/entries/{entry}/history",
    "GET /tenant/history",
    "sinch GET",
    "ninety_nine list",
    // They name entries by id.
    "whats91 GET",
    "kaleyra GET",
    "meta GET",
    "portcullis serve",
    "portcullis list",
    "portcullis export",
    "portcullis plugin",
    "portcullis meters",
    "portcullis fleet",
    "portcullis token",
    "portcullis verify",
    "portcullis migrate",
    "portcullis help",
    "portcullis status",
    "portcullis tenant",
    "portcullis sender",
    "portcullis key",
    "portcullis backup",
    "portcullis restore",
    "portcullis config",
    "portcullis completions",
];

fn is_known(name: &str) -> bool {
    DOORS.iter().any(|door| door.name == name || door.name.starts_with(&format!("{name} ")))
        || WITHOUT.contains(&name)
}

#[test]
fn no_door_is_missing() {
    let gateway = Gateway::start();
    let document = gateway.get("/openapi.json");
    for (path, operations) in document.ok()["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let path = path.strip_prefix("/portcullis/v1").unwrap_or(path);
            let name = format!("{} {path}", method.to_uppercase());
            let is_admin = path.starts_with("/admin/") || ["/healthz", "/readyz", "/metrics"].contains(&path);
            assert!(
                is_admin || path.starts_with("/dialects/") || is_known(&name),
                "{name} is no door of these tests"
            );
        }
    }
    for dialect in ["sinch", "ninety_nine", "whats91", "kaleyra", "meta"] {
        let document = gateway.get(&format!("/dialects/{dialect}/openapi.json"));
        for (path, operations) in document.ok()["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                let name = match (dialect, path.rsplit('/').next().unwrap()) {
                    ("ninety_nine", last) if last.starts_with("getBlocked") => "ninety_nine list".to_owned(),
                    ("ninety_nine", last) => format!("ninety_nine {last}"),
                    ("whats91", "{uid}") => "whats91 GET".to_owned(),
                    _ => format!("{dialect} {}", method.to_uppercase()),
                };
                let is_alias =
                    dialect == "ninety_nine" && !name.ends_with("block") && !name.ends_with("list");
                assert!(is_alias || is_known(&name), "{name} ({path}) is no door of these tests");
            }
        }
    }
    let help = Command::new(env!("CARGO_BIN_EXE_portcullis")).arg("help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // Lines that go on are indented further.
    let commands = commands.filter(|line| !line.starts_with("   "));
    for command in commands.filter_map(|line| line.split_whitespace().next()) {
        assert!(is_known(&format!("portcullis {command}")), "portcullis {command} is no door of these tests");
    }
}

/// The number that a text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Is(&'static str),
    Refused,
}
use Reading::{Is, Refused};

/// Texts, each with its reading by people, vendors, messages and files.
const READINGS: &[(&str, [Reading; 4])] = &[
    ("+46732001122", [Is("+46732001122"); 4]),
    ("46732001122", [Is("+46732001122"); 4]),
    ("0046 73-200 11 22", [Is("+46732001122"); 4]),
    ("+46.73.200.11.22", [Is("+46732001122"); 4]),
    ("+46 (0)73 200 11 22", [Is("+46732001122"); 4]),
    ("+46 073-200 11 22", [Is("+46732001122"); 4]),
    ("073-200 11 22", [Is("+46732001122"); 4]),
    ("732001122", [Is("+46732001122"); 4]),
    ("73-200 11 22", [Is("+46732001122"); 4]),
    ("+44 07911 123457", [Is("+447911123457"); 4]),
    ("0044 07911 123457", [Is("+447911123457"); 4]),
    ("+49 0170 1234568", [Is("+491701234568"); 4]),
    ("491701234567", [Is("+491701234567"); 4]),
    ("+39 06 698 12345", [Is("+390669812345"); 4]),
    ("+225 01 23 45 67 89", [Is("+2250123456789"); 4]),
    ("+229 01 95 12 34 56", [Is("+2290195123456"); 4]),
    ("+54 9 11 2345-6789", [Is("+5491123456789"); 4]),
    ("+54 11 15 2345-6789", [Is("+5491123456789"); 4]),
    ("+54 9 11 15 2345 6789", [Is("+5491123456789"); 4]),
    ("+49 170/1234567", [Is("+491701234567"); 4]),
    ("073.200.11.22", [Is("+46732001122"); 4]),
    ("073/2001122", [Is("+46732001122"); 4]),
    ("46732001122.0", [Refused, Refused, Refused, Is("+46732001122")]),
    ("46732001122.00", [Refused, Refused, Refused, Is("+46732001122")]),
    ("46732001122.5", [Refused; 4]),
    ("46732001122/5", [Refused; 4]),
    ("46732001122/123", [Refused; 4]),
    ("46732001122.125", [Refused; 4]),
    ("+46 73-200 11 22/123", [Refused; 4]),
    ("+46732001122-123", [Refused; 4]),
    ("073-200 11 22/123", [Refused; 4]),
    ("46732001122x123", [Refused; 4]),
    ("46732001122#123", [Refused; 4]),
    ("46732001122 ext. 5", [Refused; 4]),
    ("4.6732001122E+10", [Refused; 4]),
    ("44", [Refused; 4]),
    ("0043", [Refused; 4]),
    ("1", [Refused; 4]),
    ("12", [Refused; 4]),
    ("+1", [Refused; 4]),
    ("+46 12345", [Refused; 4]),
    ("nonsense 46732001122", [Refused; 4]),
    ("46732001122,46732001123", [Refused; 4]),
    ("+34 0 612 345 678", [Refused; 4]),
];

#[test]
fn every_door_reads_a_number_alike_or_refuses_it() {
    let world = World::new();
    for (text, readings) in READINGS {
        let of = |writes: Writes| match writes {
            People => readings[0],
            Vendors => readings[1],
            Messages => readings[2],
            Files => readings[3],
            // WhatsApp writes international digits only.
            WhatsApp => match (readings[1], text.bytes().all(|byte| byte.is_ascii_digit())) {
                (Is(number), true) if number[1..] == **text => Is(number),
                _ => Refused,
            },
        };
        for door in DOORS {
            if door.writes == WhatsApp && of(WhatsApp) == Refused {
                // What WhatsApp does not write is tested separately.
                continue;
            }
            if door.name == "POST /route of inbound messages" && matches!(*text, "44" | "12") {
                // No number is so short: it is a short code, which nobody has, so it passes.
                continue;
            }
            world.clear();
            check(&world, door, text, of(door.writes));
        }
    }
}

#[track_caller]
fn check(world: &World, door: &Door, text: &str, reading: Reading) {
    let what = format!("{} of {text}", door.name);
    let through = || (door.goes_through)(world, text);
    match (door.deed, reading) {
        (Blocks, Is(number)) => {
            assert_eq!(through(), Told::Taken, "{what}");
            assert_eq!(world.listed(), BTreeSet::from([number.to_owned()]), "{what}");
        }
        (Blocks, Refused) => {
            assert_eq!(through(), Told::Refused, "{what}");
            assert_eq!(world.listed(), BTreeSet::new(), "{what}");
        }
        (deed, Is(number)) => {
            world.gateway.block(number);
            let told = through();
            match deed {
                Lifts => assert_eq!((told, world.shut_out()), (Told::Taken, 0), "{what}"),
                Asks => assert_eq!(told, Told::Blocked, "{what}"),
                _ => assert_ne!(told, Told::Refused, "{what}"),
            }
        }
        (_, Refused) => assert_eq!(through(), Told::Refused, "{what}"),
    }
}

/// Spellings of one person, and the number of a stranger that looks similar.
const PERSONS: &[(&[&str], &str)] = &[
    (&["5215512345678", "525512345678"], "525512345679"),
    (&["5511987654321", "551187654321"], "551187654322"),
    (&["5491123456789", "541123456789"], "541123456780"),
    (&["2250707123456", "22507123456"], "2250507123456"),
    (&["2290195123456", "22995123456"], "2290195123457"),
    (&["24177123456", "24107123456"], "24174123456"),
    (&["84382345678", "841682345678"], "84392345678"),
];

#[test]
fn every_door_blocks_and_lifts_a_person_in_every_spelling() {
    let world = World::new();
    for (spellings, stranger) in PERSONS {
        for blocked in *spellings {
            for door in DOORS {
                for asked in *spellings {
                    world.clear();
                    let what = format!("{} of {asked}, with {blocked} blocked", door.name);
                    world.gateway.block(&format!("+{blocked}"));
                    let told = (door.goes_through)(&world, asked);
                    match door.deed {
                        Blocks => {
                            assert_eq!(told, Told::Taken, "{what}");
                            assert_eq!(world.listed(), BTreeSet::from([format!("+{blocked}")]), "{what}");
                        }
                        Lifts => assert_eq!((told, world.shut_out()), (Told::Taken, 0), "{what}"),
                        Asks => assert_eq!(told, Told::Blocked, "{what}"),
                        Shows => assert_ne!(told, Told::Refused, "{what}"),
                    }
                }
                if door.deed == Asks {
                    world.clear();
                    world.gateway.block(&format!("+{blocked}"));
                    let told = (door.goes_through)(&world, stranger);
                    assert_eq!(told, Told::Taken, "{} of a stranger, {stranger}", door.name);
                }
            }
        }
    }
}

#[test]
fn an_ambiguous_number_is_refused_with_both_readings() {
    let gateway = Gateway::with(&format!(
        "{SERVER}\n[[tenants]]\nid = \"acme\"\ntokens = [\"acme-secret\"]\ndefault_region = \"DE\"\nsid = \"HXAP16ACME\"\n\
         [[tenants.senders]]\nid = \"support\"\nnumber = \"{OWN}\"\nbot_id = \"acmebot\"\n\
         phone_number_id = \"{PHONE_ID}\"\n"
    ));
    let answer = gateway.post("/senders/support/entries", json!({ "number": "491701234567" }));
    let message = answer.error(400, "invalid_number");
    assert!(message.contains("+49********67") && message.contains("+49**********67"), "{message}");
    // Geestland in Germany, or a Norwegian number after a zero that Norway does not dial.
    let answer =
        gateway.post("/senders/support/check", json!({ "number": "47041234567", "direction": "outbound" }));
    let message = answer.error(400, "invalid_number");
    assert!(message.contains("+47******67") && message.contains("+49*********67"), "{message}");
    // In the vendors' documented format there is one reading.
    let world = World { gateway, upstream: Stand::good(), callback: Stand::good() };
    for door in DOORS.iter().filter(|door| door.writes == Vendors && door.deed == Blocks) {
        world.clear();
        check(&world, door, "491701234567", Is("+491701234567"));
    }
    for number in ["01701234567", "1701234567", "+491701234567"] {
        world.clear();
        world.gateway.block(number);
        assert_eq!(world.listed(), BTreeSet::from(["+491701234567".to_owned()]), "{number}");
    }
}

#[test]
fn docs_numbers_lists_the_spellings_of_one_person() {
    use portcullis_msisdn::Msisdn;
    let page = include_str!("../../../../docs/numbers.md");
    let mut rows = 0;
    for line in page.lines().filter(|line| line.contains("| +")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let numbers: Vec<Msisdn> = cells.iter().filter_map(|cell| Msisdn::parse(cell).ok()).collect();
        let [one, other] = numbers[..] else { continue };
        assert!(one.variants().any(|spelling| spelling == other), "{line}");
        rows += 1;
    }
    assert_eq!(rows, 16, "each plan has its row");
}
