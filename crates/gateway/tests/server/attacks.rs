//! Components that are expensive to compile, against a gateway that serves others.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use portcullis_plugin_bundle::EXACT;
use serde_json::Value;

use super::support::{Gateway, SERVER, TENANTS, digest, variant};
use bombs::Bomb;

#[path = "../../../../host/tests/support/bombs.rs"]
#[allow(dead_code, unreachable_pub, reason = "the host's tests use all of it")]
mod bombs;

/// Acme uses a plugin of its own, and globex the default one.
fn config() -> String {
    let tenants = TENANTS.replacen("id = \"acme\"", "id = \"acme\"\nplugin = \"mine\"", 1);
    format!("{SERVER}{tenants}")
}

fn plugin<'a>(listed: &'a Value, name: &str) -> &'a Value {
    let mut plugins = listed["plugins"].as_array().unwrap().iter();
    plugins.find(|plugin| plugin["plugin"] == name).unwrap_or(&Value::Null)
}

fn listed(gateway: &Gateway) -> Value {
    gateway.api("GET", "/admin/plugins", "admin-secret", None).ok().clone()
}

fn serving(gateway: &Gateway) -> Value {
    gateway.plugin("acme")["serving"]["version"].clone()
}

/// Puts bombs into the folder of plugins, the most expensive of them in the place of acme's plugin.
fn plant(folder: &Path) -> Vec<Bomb> {
    let bombs = bombs::all();
    for (n, bomb) in bombs.iter().enumerate() {
        std::fs::write(folder.join(format!("plugins/bomb{n}.wasm")), &bomb.component).unwrap();
    }
    std::fs::write(folder.join("plugins/mine.wasm"), &bombs::costly().component).unwrap();
    bombs
}

#[test]
fn a_folder_of_bombs_does_not_keep_a_gateway_from_serving_those_with_good_plugins() {
    let good = variant(EXACT.component, b'a');
    let mut gateway = Gateway::with_plugin(&config(), Some(("mine.wasm", &good)));
    gateway.block("+46732001122");
    let bombs = plant(gateway.folder());

    gateway.kill_and_restart();
    assert_eq!(
        (gateway.verdict("+46732001122"), gateway.verdict("+46732002244")),
        ("block".into(), "allow".into())
    );
    assert_eq!(serving(&gateway), digest(&good), "what served last serves at once");
    // Files are looked at from now on, and a good one is found among them.
    let better = variant(EXACT.component, b'b');
    gateway.drop_plugin("another", &better);
    gateway.until_long("all files were looked at", |gateway| {
        let listed = listed(gateway);
        let are_known = (0..bombs.len()).all(|n| {
            let plugin = plugin(&listed, &format!("bomb{n}"));
            // Some of them do load: no bound is so tight that it refuses all.
            plugin["problem"].is_string() || plugin["versions"][0]["newest"] == true
        });
        are_known && plugin(&listed, "mine")["problem"].is_string()
    });
    let told = plugin(&listed(&gateway), "mine")["problem"].as_str().unwrap().to_owned();
    assert!(told.contains("to compile"), "{told}");
    assert_eq!(serving(&gateway), digest(&good));
    gateway.until("the good one is found", |gateway| {
        plugin(&listed(gateway), "another")["versions"][0]["version"] == digest(&better)
    });
    let remembered = std::fs::read_dir(gateway.folder().join("plugins/.versions")).unwrap();
    let remembered = remembered
        .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|ext| ext == "refused"));
    assert!(remembered.count() > 0, "what took too much is not tried again");

    gateway.restart();
    assert_eq!(gateway.verdict("+46732001122"), "block");
    gateway.until("it is refused without being compiled", |gateway| {
        plugin(&listed(gateway), "mine")["problem"]
            .as_str()
            .is_some_and(|problem| problem.contains("to compile"))
    });
    // A new content gets its chance.
    gateway.drop_plugin("mine", &better);
    gateway.until("the new one serves", |gateway| serving(gateway) == digest(&better));
    assert_eq!(gateway.verdict("+46732001122"), "block");
}

#[test]
fn an_innocent_upload_is_never_called_invalid_because_others_are_compiled() {
    let gateway = Gateway::with(&config().replace("plugin = \"mine\"\n", ""));
    let bomb = bombs::costly();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for n in 0..6 {
            let (gateway, bomb, done) = (&gateway, &bomb, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    // Each is another content, so none is remembered.
                    let answer = gateway.put_plugin_within(
                        &format!("bomb{n}"),
                        &variant_of(bomb),
                        super::support::LONG * 6,
                    );
                    let is_refused = answer.status == 400 && answer.text.contains("to compile");
                    let has_no_turn = answer.status == 503 && answer.headers.contains_key("retry-after");
                    assert!(is_refused || has_no_turn, "{}", answer.text);
                }
            });
        }
        for (n, name) in [b'a', b'b', b'c'].into_iter().zip(["one", "two", "three"]) {
            let answer =
                gateway.put_plugin_within(name, &variant(EXACT.component, n), super::support::LONG * 6);
            assert_eq!(
                answer.status, 200,
                "names take turns, so it waits for two compilations at most: {}",
                answer.text
            );
            // Others are served meanwhile.
            assert_eq!(gateway.verdict("+46732002244"), "allow");
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// The bomb, with another digest.
fn variant_of(bomb: &Bomb) -> Vec<u8> {
    use std::sync::atomic::AtomicU8;
    static NEXT: AtomicU8 = AtomicU8::new(0);
    // A custom section: its id, its size, the size of its name, the name.
    [&bomb.component[..], &[0, 2, 1, NEXT.fetch_add(1, Ordering::Relaxed) & 0x7f]].concat()
}
