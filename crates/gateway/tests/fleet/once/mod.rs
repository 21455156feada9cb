//! What happens once, although several gateways are asked to do it.

#[path = "../../server/traffic/meta.rs"]
#[allow(dead_code, reason = "the tests of one gateway use more of it")]
mod meta;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::cluster::{Cluster, cluster};
use crate::folder;
use crate::stand::{Reply, Stand};
use crate::support::{Answer, Gateway};
use meta::{APP_SECRET, PHONE_ID, ids, payload, signed, text, webhook};

const FROM: &str = "16505551234";
const OTHER: &str = "16505551235";

/// Two gateways that share a ledger, between an upstream and a callback.
struct Scene {
    gateways: [Gateway; 2],
    upstream: Stand,
    callback: Stand,
}

impl Scene {
    fn new(cluster: &Cluster, upstream: Stand, callback: Stand) -> Self {
        let url = cluster.database();
        let gateways = std::array::from_fn(|number| {
            let options: &[&str] = if number == 0 { &["--new-ledger"] } else { &[] };
            let config = format!(
                r#"
[server]
listen = "127.0.0.1:0"
admin_token = "admin-secret"
lame_duck_seconds = 0

[storage]
url = "{url}"

[fleet]
node = "n{number}"

[meta]
upstream = "{}"
app_secret = "{APP_SECRET}"

[traffic]
callback_timeout_seconds = 3

[[tenants]]
id = "acme"
tokens = ["acme-secret"]
dialects.within_24_hours = true

[[tenants.senders]]
id = "support"
number = "15550783881"
phone_number_id = "{PHONE_ID}"
callback_url = "{}/in"
"#,
                upstream.url(),
                callback.url()
            );
            Gateway::in_folder(folder(), &config, options)
        });
        Scene { gateways, upstream, callback }
    }

    fn good() -> Self {
        Self::new(cluster(), Stand::good(), Stand::good())
    }

    /// Opts a person out at the first gateway, and waits until both know.
    fn opt_out(&self, from: &str) {
        assert_eq!(deliver(&self.gateways[0], &says(from, "out", "STOP")), 200);
        self.until_both_block(from);
    }

    fn until_both_block(&self, number: &str) {
        for gateway in &self.gateways {
            gateway
                .until("opted out", |gateway| gateway.verdict_of("support", number, "outbound") == "block");
        }
    }
}

/// A webhook with one message.
fn says(from: &str, id: &str, words: &str) -> String {
    payload(PHONE_ID, &[text(from, id, words)]).to_string()
}

/// Sends a webhook. Returns the status.
fn deliver(gateway: &Gateway, body: &str) -> u16 {
    webhook(gateway, body, &signed(body.as_bytes())).status
}

/// Sends the same webhook to both gateways at once.
fn deliver_to_both(gateways: &[Gateway; 2], body: &str) -> Vec<u16> {
    let both = &Barrier::new(2);
    thread::scope(|scope| {
        let sending = gateways.each_ref().map(|gateway| {
            scope.spawn(move || {
                both.wait();
                deliver(gateway, body)
            })
        });
        sending.into_iter().map(|sent| sent.join().unwrap()).collect()
    })
}

/// The path and the body of a message to this number.
fn message(to: &str) -> (String, Value) {
    let body = json!({
        "messaging_product": "whatsapp", "to": to, "type": "text", "text": { "body": "You are out" },
    });
    (format!("/v25.0/{PHONE_ID}/messages"), body)
}

fn send(gateway: &Gateway, to: &str) -> Answer {
    let (path, body) = message(to);
    gateway.call("POST", &path, "acme-secret", Some(body.to_string()))
}

fn is_refused(answer: &Answer) -> bool {
    answer.json["error"]["code"] == 130_403
}

/// Posts to a gateway that is killed before it answers.
fn post_in_vain(gateway: &Gateway, path: &str, header: (&'static str, String), body: String) {
    let url = format!("{}{path}", gateway.url());
    thread::spawn(move || {
        let request = ureq::post(url).header("content-type", "application/json").header(header.0, header.1);
        let _ = request.send(body);
    });
}

/// Answers nothing to the first request, and 200 to the others.
fn hangs_once() -> Stand {
    let requests = AtomicUsize::new(0);
    Stand::start(move |_| match requests.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Hangs,
        _ => Reply::Status(200),
    })
}

/// The ids of all messages that a callback received, in order.
fn received(callback: &Stand) -> Vec<String> {
    callback.received().iter().flat_map(|request| ids(&request.json())).collect()
}

#[test]
fn a_webhook_that_both_gateways_get_at_once_is_delivered_once() {
    let scene = Scene::good();
    let webhooks: Vec<(String, String)> = (10..50)
        .map(|n| {
            let id = format!("wamid.{n}");
            (id.clone(), says(FROM, &id, "Hello"))
        })
        .collect();
    for (id, body) in &webhooks {
        let statuses = deliver_to_both(&scene.gateways, body);
        // One that does not know yet what became of it asks Meta to send it again.
        assert!(statuses.contains(&200), "{id}: {statuses:?}");
        assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{id}: {statuses:?}");
    }
    for gateway in &scene.gateways {
        for (id, body) in &webhooks {
            assert_eq!(deliver(gateway, body), 200, "{id} again");
        }
    }
    let sent: Vec<&String> = webhooks.iter().map(|(id, _)| id).collect();
    assert_eq!(received(&scene.callback).iter().collect::<Vec<_>>(), sent);
}

#[test]
fn a_webhook_that_the_callback_refused_is_delivered_by_any_gateway() {
    let requests = AtomicUsize::new(0);
    let callback = Stand::start(move |_| match requests.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Status(500),
        _ => Reply::Status(200),
    });
    let Scene { gateways: [a, b], callback, .. } = Scene::new(cluster(), Stand::good(), callback);
    let body = says(FROM, "wamid.1", "Hello");
    assert_eq!([deliver(&a, &body), deliver(&b, &body), deliver(&a, &body)], [500, 200, 200]);
    assert_eq!(received(&callback), ["wamid.1", "wamid.1"]);
}

#[test]
fn another_gateway_delivers_what_a_killed_one_had_claimed() {
    let Scene { gateways: [mut a, b], callback, .. } = Scene::new(cluster(), Stand::good(), hangs_once());
    let body = says(FROM, "wamid.1", "Hello");
    let signature = ("x-hub-signature-256", signed(body.as_bytes()));
    post_in_vain(&a, "/webhooks/meta", signature, body.clone());
    callback.until(1);
    a.kill();
    assert_eq!(deliver(&b, &body), 503, "the claim has not ended");
    b.until("delivered", |gateway| deliver(gateway, &body) == 200);
    assert_eq!(deliver(&b, &body), 200);
    assert_eq!(received(&callback), ["wamid.1", "wamid.1"], "nobody knows what became of the first");
}

#[test]
fn an_opt_out_that_both_gateways_get_at_once_is_confirmed_once() {
    let scene = Scene::good();
    let body = says(FROM, "wamid.1", "STOP");
    let statuses = deliver_to_both(&scene.gateways, &body);
    assert!(statuses.contains(&200), "{statuses:?}");
    scene.until_both_block(FROM);
    let all = Barrier::new(8);
    let answers: Vec<Answer> = thread::scope(|scope| {
        let senders: Vec<_> = (0..8)
            .map(|n| {
                let (gateway, all) = (&scene.gateways[n % 2], &all);
                scope.spawn(move || {
                    all.wait();
                    send(gateway, FROM)
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| is_refused(answer)).count(), 7);
    // Nor does it get another one if the opt-out arrives again.
    for gateway in &scene.gateways {
        assert_eq!(deliver(gateway, &body), 200);
        assert!(is_refused(&send(gateway, FROM)));
    }
    scene.upstream.one();
}

#[test]
fn a_confirmation_of_one_gateway_s_opt_out_goes_out_by_another() {
    let scene = Scene::good();
    scene.opt_out(FROM);
    let [a, b] = &scene.gateways;
    assert_eq!(send(b, FROM).status, 200);
    assert!(is_refused(&send(a, FROM)) && is_refused(&send(b, FROM)));
    scene.upstream.one();
}

#[test]
fn nobody_sends_the_confirmation_again_that_a_killed_gateway_was_sending() {
    let mut scene = Scene::new(cluster(), hangs_once(), Stand::good());
    scene.opt_out(FROM);
    let (path, body) = message(FROM);
    let token = ("authorization", "Bearer acme-secret".to_owned());
    post_in_vain(&scene.gateways[0], &path, token, body.to_string());
    scene.upstream.until(1);
    scene.gateways[0].kill();
    assert!(is_refused(&send(&scene.gateways[1], FROM)));
    scene.upstream.one();
}

#[test]
fn a_routed_opt_in_that_arrives_again_at_another_gateway_lifts_nothing() {
    let scene = Scene::good();
    let [a, b] = &scene.gateways;
    // Without a time: it counts as written when it arrives first.
    let route = |gateway: &Gateway, id: &str, word: &str| {
        let sender = format!("+{FROM}");
        let message = json!({
            "sender": sender, "recipient": "support", "direction": "inbound", "id": id, "body": word,
        });
        gateway.post("/route", message).ok();
    };
    let verdict = |gateway: &Gateway| gateway.verdict_of("support", FROM, "outbound");
    route(a, "1", "STOP");
    scene.until_both_block(FROM);
    route(a, "2", "START");
    for gateway in [a, b] {
        gateway.until("opted in", |gateway| verdict(gateway) == "allow");
    }
    route(a, "3", "STOP");
    scene.until_both_block(FROM);
    route(b, "2", "START");
    for gateway in [b, a] {
        assert_eq!(verdict(gateway), "block");
    }
    // Another one counts.
    route(b, "4", "START");
    assert_eq!(verdict(b), "allow");
}

#[test]
fn a_message_at_one_gateway_opens_the_24_hour_window_at_another() {
    let scene = Scene::good();
    let [a, b] = &scene.gateways;
    let block = |gateway: &Gateway, number: &str| {
        let users = json!({ "messaging_product": "whatsapp", "block_users": [{ "user": number }] });
        let path = format!("/v25.0/{PHONE_ID}/block_users");
        gateway.call("POST", &path, "acme-secret", Some(users.to_string()))
    };
    let code = |answer: &Answer| answer.json["block_users"]["failed_users"][0]["errors"][0]["code"].clone();
    assert_eq!(code(&block(b, FROM)), 131_047);
    assert_eq!(deliver(a, &says(FROM, "wamid.1", "Hello")), 200);
    let is_added = |answer: &Answer| answer.json["block_users"]["added_users"][0]["input"].is_string();
    b.until("in the window", |gateway| is_added(&block(gateway, FROM)));
    // A check opens it, too.
    assert_eq!(code(&block(a, OTHER)), 131_047);
    b.verdict(OTHER);
    a.until("in the window", |gateway| is_added(&block(gateway, OTHER)));
}

#[test]
fn without_the_database_messages_are_delivered_and_nothing_is_confirmed() {
    let cluster = Cluster::new();
    let scene = Scene::new(&cluster, Stand::good(), Stand::good());
    scene.opt_out(FROM);
    scene.callback.forget();

    cluster.kill();
    let degraded = |gateway: &Gateway| gateway.call("GET", "/readyz", "", None).json["degraded"].clone();
    for gateway in &scene.gateways {
        gateway.until("unreachable", |gateway| degraded(gateway)["ledger"] == "unreachable");
    }
    let (hello, stop) = (says(OTHER, "wamid.hello", "Hello"), says(OTHER, "wamid.stop", "STOP"));
    for gateway in &scene.gateways {
        // At least once.
        assert_eq!(deliver(gateway, &hello), 200);
        assert_eq!(deliver(gateway, &stop), 503, "Meta sends it again");
        assert_eq!(send(gateway, OTHER).status, 200);
        let refused = send(gateway, FROM);
        assert!(refused.status >= 500, "{} {}", refused.status, refused.text);
    }
    assert_eq!(received(&scene.callback), ["wamid.hello"; 2]);
    assert_eq!(scene.upstream.received().len(), 2, "only what is for a person who is not blocked");

    cluster.start_again();
    for gateway in &scene.gateways {
        gateway.until("back", |gateway| degraded(gateway).is_null());
    }
    let [a, b] = &scene.gateways;
    assert_eq!([deliver(a, &stop), deliver(b, &stop)], [200, 200]);
    assert_eq!(received(&scene.callback)[2..], ["wamid.stop"]);
    scene.until_both_block(OTHER);
    for number in [FROM, OTHER] {
        assert_eq!(send(b, number).status, 200, "the confirmation");
        assert!(is_refused(&send(a, number)));
    }
}
