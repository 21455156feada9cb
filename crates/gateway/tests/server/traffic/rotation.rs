//! Secrets of Meta's app that are exchanged while the gateway runs.

use super::{PHONE_ID, Scene, payload, signed, signed_with, text, webhook};

const FROM: &str = "16505551234";

fn body(id: &str) -> String {
    payload(PHONE_ID, &[text(FROM, id, "x")]).to_string()
}

#[test]
fn secrets_of_meta_are_exchanged_while_the_gateway_runs() {
    let scene = Scene::good();
    let gateway = &scene.gateway;
    let file = gateway.folder().join("portcullis.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    let apply = |app_secret: &str, verify_token: &str| {
        let config = before
            .replace("app_secret = \"app-secret\"", &format!("app_secret = {app_secret}"))
            .replace("verify_token = \"verify-secret\"", &format!("verify_token = {verify_token}"));
        assert_ne!(config, before);
        std::fs::write(&file, config).unwrap();
        gateway.hang_up();
    };
    let sent = |secret: &str, id: &str| {
        let body = body(id);
        webhook(gateway, &body, &signed_with(secret, body.as_bytes())).status
    };
    let shakes = |token: &str| {
        let query = format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={token}");
        gateway.call("GET", &format!("/webhooks/meta?{query}"), "", None).status
    };
    assert_eq!((sent("app-new", "1"), shakes("verify-new")), (401, 403));

    // Both hold while Meta's app is changed.
    apply(r#"["app-new", "app-secret"]"#, r#"["verify-new", "verify-secret"]"#);
    gateway.until("the new secret holds", |_| sent("app-new", "2") == 200);
    let old = body("3");
    assert_eq!(webhook(gateway, &old, &signed(old.as_bytes())).status, 200);
    assert_eq!((shakes("verify-new"), shakes("verify-secret")), (200, 200));
    assert_eq!(sent("app-newer", "4"), 401);

    // What the gateway changes is signed with the secret that Meta used.
    gateway.block("+16505551235");
    scene.callback.forget();
    let mixed = payload(PHONE_ID, &[text(FROM, "5", "x"), text("16505551235", "6", "x")]).to_string();
    assert_eq!(webhook(gateway, &mixed, &signed_with("app-new", mixed.as_bytes())).status, 200);
    let received = scene.callback.one();
    assert!(!received.text().contains("16505551235"));
    assert_eq!(received.header("x-hub-signature-256"), signed_with("app-new", &received.body));

    // Then the old one goes.
    apply(r#""app-new""#, r#""verify-new""#);
    gateway.until("the old secret is refused", |_| sent("app-secret", "7") == 401);
    assert_eq!((sent("app-new", "8"), shakes("verify-new"), shakes("verify-secret")), (200, 200, 403));
    assert!(!gateway.logged("restart the gateway to apply it"));
}
