//! `tenant`, `sender` and `status`, and `--json`.

use serde_json::{Value, json};

use crate::gateway::{Gateway, Invocation, command};

fn admin(gateway: &Gateway, arguments: &str) -> Invocation {
    gateway.command(arguments).env("PORTCULLIS_ADMIN_TOKEN", "admin-secret")
}

fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn tenants_are_added_shown_and_deleted() {
    let gateway = Gateway::start();
    let put = admin(&gateway, "tenant put globex")
        .input(r#"{"tokens": ["globex-secret"], "senders": [{"id": "support"}]}"#)
        .good();
    assert_eq!(put.out, "globex\tapi\texact\t1 senders\n");
    let listed = admin(&gateway, "tenant list").good().out;
    assert_eq!(listed, "acme\tfile\texact\t2 senders\nglobex\tapi\texact\t1 senders\n");
    let block = gateway.command("block +46731000001 -s support").env("PORTCULLIS_TOKEN", "globex-secret");
    assert_eq!(block.good().out, "+46731000001\tadded\n");
    let shown = object(&admin(&gateway, "tenant show globex").good().out);
    assert_eq!(shown["senders"][0]["id"], "support");
    let refused = admin(&gateway, "tenant forget globex --confirm acme").ends(2);
    assert!(refused.err.contains("confirm"), "{}", refused.err);
    let gone = admin(&gateway, "tenant forget globex --confirm globex").good();
    assert_eq!(gone.out, "globex\tdeleted\n");
    assert!(admin(&gateway, "tenant show globex").ends(2).err.contains("no tenant"));
}

#[test]
fn settings_are_changed_one_by_one() {
    let gateway = Gateway::start();
    let file = gateway.write("globex.json", r#"{"tokens": ["globex-secret"], "default_region": "SE"}"#);
    admin(&gateway, "tenant put globex").arg(&file).good();
    admin(&gateway, "tenant change globex").input(r#"{"on_failure": "open"}"#).good();
    admin(&gateway, "sender put support -t globex").input(r#"{"number": "+46700000009"}"#).good();
    admin(&gateway, "sender change support -t globex").input(r#"{"active": false}"#).good();
    let shown = object(&admin(&gateway, "tenant show globex").good().out);
    assert_eq!((&shown["on_failure"], &shown["default_region"]), (&json!("open"), &json!("SE")));
    assert_eq!(admin(&gateway, "sender list -t globex").good().out, "support\t46700000009\tinactive\n");
    assert_eq!(object(&admin(&gateway, "sender show support -t globex").good().out)["active"], false);
    assert_eq!(admin(&gateway, "sender remove support -t globex").good().out, "support\tremoved\n");
    assert!(admin(&gateway, "sender show support -t globex").ends(2).err.contains("sender list"));
    // The tenant of the file stays as it is, and what is wrong is named.
    let refused = admin(&gateway, "tenant change acme").input("{}").ends(2);
    assert!(refused.err.contains("configuration file"), "{}", refused.err);
    let refused = admin(&gateway, "tenant change globex").input(r#"{"default_region": "Sweden"}"#).ends(2);
    assert!(refused.err.contains("default_region"), "{}", refused.err);
    let torn = admin(&gateway, "tenant put globex").input(r#"{"access_token": "EAAB-secret""#).ends(2);
    assert!(
        torn.err.contains("standard input is not a JSON object") && !torn.err.contains("EAAB"),
        "{}",
        torn.err
    );
    assert!(admin(&gateway, "sender list").ends(2).err.contains("--tenant"));
    assert!(gateway.command("tenant list").ends(2).err.contains("PORTCULLIS_ADMIN_TOKEN"));
}

#[test]
fn tokens_are_made_rotated_and_revoked() {
    let gateway = Gateway::start();
    admin(&gateway, "tenant put globex").input(r#"{"senders": [{"id": "support"}]}"#).good();
    let made = admin(&gateway, "token create crm -t globex --scope check --scope read").good().out;
    let token = made.trim();
    let check = |token: &str| {
        gateway.command("check +46731000001 -s support -d inbound").env("PORTCULLIS_TOKEN", token)
    };
    check(token).good();
    let refused = gateway.command("block +46731000001 -s support").env("PORTCULLIS_TOKEN", token).ends(2);
    assert!(refused.err.contains("scope"), "{}", refused.err);
    let rotated = admin(&gateway, "token create crm-2 -t globex --replaces crm --overlap 3600").good();
    assert!(rotated.err.starts_with("replaces crm\tcheck, read\texpires 20"), "{}", rotated.err);
    check(rotated.out.trim()).good();
    check(token).good();
    let listed = admin(&gateway, "token list -t globex").good().out;
    assert!(listed.contains("crm-2\tcheck, read\tnever expires\n"), "{listed}");
    assert!(listed.contains("crm\tcheck, read\texpires 20"), "{listed}");
    // Without an overlap, the replaced one is gone at once.
    admin(&gateway, "token create crm-3 -t globex --replaces crm --overlap 0").good();
    check(token).ends(2);
    assert_eq!(admin(&gateway, "token revoke crm-2 -t globex").good().out, "crm-2\trevoked\n");
    check(rotated.out.trim()).ends(2);
}

#[test]
fn the_status_is_an_exit_code_and_needs_no_token() {
    let mut gateway = Gateway::start();
    assert_eq!(gateway.command("status").good().out, "ready\n");
    assert_eq!(gateway.command("status --quiet").good().out, "");
    assert_eq!(object(&gateway.command("status --json").good().out), json!({ "status": "ready" }));
    let url = gateway.url().to_owned();
    gateway.kill();
    let gone = command("status").env("PORTCULLIS_URL", &url).ends(2);
    assert!(gone.err.contains("can't be reached"), "{}", gone.err);
}

#[test]
fn results_are_json_where_a_program_reads_them() {
    let gateway = Gateway::start();
    let lines = |text: &str| -> Vec<Value> { text.lines().map(object).collect() };
    let blocked = gateway.command("--json block +46731000001 --sender support").good().out;
    assert_eq!(lines(&blocked)[0]["number"], "+46731000001");
    let checked = gateway.command("check --json +46731000001 +46731000002 -s support -d inbound").ends(1).out;
    let expected = [
        json!({ "number": "+46731000001", "verdict": "block" }),
        json!({ "number": "+46731000002", "verdict": "allow" }),
    ];
    assert_eq!(lines(&checked), expected);
    let listed = object(&gateway.command("list -s support --json").good().out);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(lines(&gateway.command("history -s support --json").good().out).len(), 1);
    let exported = gateway.command("export -s support --json").good().out;
    assert_eq!(lines(&exported)[0]["number"], "+46731000001");
    let file = gateway.write("rude.txt", "+46731000003\nnonsense\n");
    let imported = gateway.command("import --json -s support").arg(&file).ends(1);
    let tally = object(&imported.out);
    assert_eq!((&tally["rows"], &tally["changed"], &tally["refused"]), (&json!(2), &json!(1), &json!(1)));
    assert!(imported.err.starts_with("line 2: "), "{}", imported.err);
    let token = object(&command("token new --json").good().out);
    assert!(token["digest"].as_str().unwrap().starts_with("sha256:"), "{token}");
    assert!(object(&admin(&gateway, "tenant list --json").good().out)["tenants"].is_array());
    assert!(object(&admin(&gateway, "plugin list --json").good().out)["plugins"].is_array());
}
