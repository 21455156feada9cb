//! Valid and invalid configurations.

use super::*;

const GOOD: &str = r#"
[server]
listen = "127.0.0.1:8480"
admin_token = "admin-secret"

[storage]
url = "sqlite://data/portcullis.db"

[plugins]
dir = "plugins"

[[tenants]]
id = "acme"
tokens = ["acme-secret"]
default_region = "SE"
plugin_options = { depth = 3 }

[[tenants.senders]]
id = "support"
number = "+46 70-000 00 01"
bot_id = "acmebot"
callback_url = "http://127.0.0.1:9000/in"

[[tenants]]
id = "globex"

[[tenants.senders]]
id = "support"
phone_number_id = "106540352242922"
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("/etc/p.toml"), text, |_| BTreeSet::from(["exact".to_owned()]))
}

#[test]
fn what_is_typed_means_what_it_says() {
    let config = parse(GOOD).unwrap();
    let [listen] = &config.listen[..] else { panic!("one address") };
    assert_eq!(listen.to_string(), "http://127.0.0.1:8480");
    assert_eq!(config.storage, StorageUrl::Sqlite("/etc/data/portcullis.db".into()));
    assert_eq!(config.master_key_file, Path::new("/etc/data/portcullis.key"));
    assert_eq!(config.hand_over_socket.as_deref(), Some(Path::new("/etc/data/portcullis.hand-over")));
    assert_eq!(config.plugins_dir.as_deref(), Some(Path::new("/etc/plugins")));
    assert_eq!((config.max_body_bytes, config.log_format), (16 << 20, LogFormat::Text));
    let [acme, globex] = &config.tenants[..] else { panic!("two tenants") };
    assert_eq!(
        (acme.id.as_str(), acme.plugin.as_str(), acme.on_failure),
        ("acme", "exact", portcullis_api::settings::OnFailure::Closed)
    );
    assert_eq!(serde_json::Value::Object(acme.plugin_options.clone()), serde_json::json!({ "depth": 3 }));
    assert_eq!(acme.senders[0].number.map(portcullis_msisdn::Msisdn::get), Some(46700000001));
    assert_eq!((globex.tokens.len(), globex.default_region, globex.memory_limit_bytes), (0, None, 1 << 30));
}

#[test]
fn the_master_key_has_one_source() {
    let with = |storage: &str| GOOD.replace("[storage]\n", &format!("[storage]\n{storage}\n"));
    let config = parse(&with(r#"master_key_command = ["/bin/kms", "decrypt"]"#)).unwrap();
    assert_eq!(config.master_key_command.unwrap().to_string(), "/bin/kms");
    for wrong in
        ["master_key_command = []", r#"master_key_command = [""]"#, r#"master_key_command = ["a\u0000b"]"#]
    {
        let error = parse(&with(wrong)).unwrap_err();
        assert!(error.contains("storage.master_key_command: must name a program"), "{error}");
    }
    let error = parse(&with("master_key_file = \"a.key\"\nmaster_key_command = [\"kms\"]")).unwrap_err();
    assert!(error.contains("can't be set together with master_key_file"), "{error}");
}

#[test]
fn a_float_in_a_plugin_s_options_is_kept_as_it_is() {
    // Read quickly instead of exactly, it would become its neighbour.
    let text = format!(r#"{{"id": "acme", "plugin_options": {{"x": {}.5}}}}"#, "1".repeat(114));
    let typed: portcullis_api::settings::Tenant = serde_json::from_str(&text).unwrap();
    let kept = serde_json::to_string(&typed).unwrap();
    let again: portcullis_api::settings::Tenant = serde_json::from_str(&kept).unwrap();
    assert_eq!(again.plugin_options, typed.plugin_options);
}

#[test]
fn what_is_kept_of_a_tenant_means_the_same_again() {
    for tenant in parse(GOOD).unwrap().tenants {
        let kept = serde_json::to_vec(&tenant.to_typed()).unwrap();
        assert!(!String::from_utf8(kept.clone()).unwrap().contains("secret"));
        let typed = serde_json::from_slice(&kept).unwrap();
        let mut problems = Vec::new();
        assert_eq!(TenantConfig::check(&typed, &FieldPath::default(), &mut problems), Some(tenant));
    }
}

#[test]
fn the_grace_covers_what_a_message_may_take() {
    let stopping = |more: &str| parse(&format!("{GOOD}{more}")).unwrap().stopping;
    let seconds = |stopping: Stopping| (stopping.lame_duck.as_secs(), stopping.grace.as_secs());
    assert_eq!(seconds(stopping("")), (5, 40));
    assert_eq!(seconds(stopping("[traffic]\nupstream_timeout_seconds = 90\n")), (5, 100));
    assert_eq!(seconds(stopping("[traffic]\ncallback_timeout_seconds = 120\n")), (5, 130));
    let set = GOOD.replace("[storage]", "lame_duck_seconds = 0\ngrace_seconds = 30\n[storage]");
    assert_eq!(seconds(parse(&set).unwrap().stopping), (0, 30));
}

/// Text in [`GOOD`], its replacement, the line that is reported, and a part of the message.
const WRONG: &[(&str, &str, usize, &str)] = &[
    ("listen = \"127.0.0.1:8480\"", "listen = \"localhost\"", 3, "such as 127.0.0.1:8480"),
    (
        "listen = \"127.0.0.1:8480\"",
        "listen = [\"unix:p.sock\", \"unix:\"]",
        3,
        "server.listen[1]: is not an address",
    ),
    ("listen = \"127.0.0.1:8480\"", "listen = []", 3, "must have 1 to 16 addresses"),
    ("listen = \"127.0.0.1:8480\"", "listen = \"https://127.0.0.1:8480\"", 3, "add [server.tls]"),
    (
        "listen = \"127.0.0.1:8480\"",
        "listen = \"127.0.0.1:8480\"\nadmin_listen = \"http://127.0.0.1:8480\"",
        4,
        "has an address of server.listen",
    ),
    (
        "listen = \"127.0.0.1:8480\"",
        "listen = \"127.0.0.1:8480\"\nunix_socket_mode = \"rw\"",
        4,
        "leave it out for \"0660\"",
    ),
    (
        "[plugins]",
        "[server.tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\n[plugins]",
        9,
        "write one as https://",
    ),
    ("listen = \"127.0.0.1:8480\"", "port = 8480", 3, "unknown field `port`; known are `listen`"),
    ("listen = \"127.0.0.1:8480\"", "listen = 8480", 3, "server.listen: must be a string"),
    ("listen = \"127.0.0.1:8480\"", "listen = \"127.0.0.1:8480", 3, "not TOML: "),
    ("listen = \"127.0.0.1:8480\"", "", 2, "missing field `listen`"),
    ("admin_token = \"admin-secret\"", "admin_token = \"\"", 4, "empty"),
    ("admin_token = \"admin-secret\"", "admin_token = \"acme-secret\"", 14, "the administrator's already"),
    ("admin_token = \"admin-secret\"", "max_body_bytes = 5", 4, "16 MiB"),
    ("admin_token = \"admin-secret\"", "max_body_bytes = -5", 4, ""),
    ("admin_token = \"admin-secret\"", "log_format = \"xml\"", 4, "must be `text` or `json`"),
    ("admin_token = \"admin-secret\"", "lame_duck_seconds = 3601", 4, "leave it out for 5"),
    ("admin_token = \"admin-secret\"", "grace_seconds = 29", 4, "from 30 to 7200"),
    (
        "admin_token = \"admin-secret\"",
        "hand_over_socket = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"",
        4,
        "at most 99 bytes",
    ),
    ("sqlite://data/portcullis.db", "postgres://u:pw@h/d", 7, "sslmode=verify-full"),
    ("sqlite://data/portcullis.db", "data/portcullis.db", 7, "URL"),
    ("id = \"acme\"", "id = \"ACME\"", 13, "one of a-z"),
    ("id = \"acme\"", "", 12, "the name is empty"),
    ("id = \"acme\"", "id = \"globex\"", 25, "two tenants globex"),
    (
        "[plugins]\ndir = \"plugins\"\n\n[[tenants]]\nid = \"acme\"",
        "[plugins]\ndir = \"plugins\"\non_start_failure = \"refuse\"\n[[tenants]]\nid = \"acme\"\nplugin = \"exacter\"",
        14,
        "use one of exact, or put its .wasm file into /etc/plugins",
    ),
    (
        "id = \"acme\"",
        "id = \"acme\"\non_failure = \"shut\"",
        14,
        "must be one of `closed`, `open`, `ledger`",
    ),
    ("id = \"acme\"", "id = \"acme\"\nmemory_limit_bytes = 1000", 14, "1 MiB"),
    ("[\"acme-secret\"]", "[\"acme-secret\", \"acme-secret\"]", 14, "tenant acme's already"),
    ("[\"acme-secret\"]", "[\"acme secret\"]", 14, "portcullis token new"),
    ("[\"acme-secret\"]", "[\"sha256:12\"]", 14, "64 hexadecimal digits"),
    ("[\"acme-secret\"]", "\"acme-secret\"", 14, "tenants[0].tokens: must be a sequence"),
    ("\"SE\"", "\"SWE\"", 15, "two capital letters"),
    ("depth = 3", "since = 2026-01-01", 16, "as a string"),
    ("id = \"support\"\nnumber", "id = \"support desk\"\nnumber", 19, "one of a-z"),
    ("+46 70-000 00 01", "070-000 00 01", 20, "country code"),
    ("bot_id = \"acmebot\"", "bot_id = \"acme/bot\"", 21, "letters, digits"),
    ("http://127.0.0.1:9000/in", "127.0.0.1:9000/in", 22, "http://127.0.0.1:9000/in"),
    ("http://127.0.0.1:9000/in", "ftp://127.0.0.1/in", 22, "http://127.0.0.1:9000/in"),
    ("default_region = \"SE\"", "rate_limit = { per_second = 0 }", 15, "at least 1"),
    ("default_region = \"SE\"", "rate_limit = { per_second = 9, burst = 0 }", 15, "at least 1"),
    ("default_region = \"SE\"", "dialects.spoken = [\"sinsh\"]", 15, "must be one of `sinch`"),
    ("bot_id = \"acmebot\"", "tokens = [\"acme-secret\"]", 21, "tenant acme's already"),
    ("admin_token = \"admin-secret\"", "trusted_proxies = [\"proxy\"]", 4, "10.0.0.5"),
    ("[plugins]", "[dialects]\nwhats91_max_limit = 0\n[plugins]", 10, "leave it out for 1000"),
    ("[plugins]", "[dialects]\nmeta_default_limit = 1001\n[plugins]", 10, "leave it out for 25"),
    ("[plugins]", "[dialects]\nkaleyra_partial_status = 204\n[plugins]", 10, "such as 200 or 400"),
    ("[plugins]", "[dialects.ninety_nine]\nfail_status = 99\n[plugins]", 10, "such as 200 or 400"),
    ("[plugins]", "[dialects.ninety_nine]\nlist_paths = [\"list\"]\n[plugins]", 10, "/whatsapp/v2/unblock"),
    ("default_region = \"SE\"", "opt_out = { languages = [\"en\", \"tlh\"] }", 15, "known are ar, az, da"),
    (
        "default_region = \"SE\"",
        "opt_out.stop = [\"NO MORE\", \"!!!\"]",
        15,
        "opt_out.stop[1]: nothing is left of this word",
    ),
    (
        "default_region = \"SE\"",
        "opt_out = { start = [\"\u{200b}\"] }",
        15,
        "opt_out.start[0]: nothing is left",
    ),
    ("[plugins]", "[dialects.ninety_nine]\nlist_paths = [\"/a/{b}\"]\n[plugins]", 10, "/whatsapp/v2/unblock"),
    ("[plugins]", "[dialects.ninety_nine]\nlist_paths = [\"/metrics\"]\n[plugins]", 10, "for itself"),
    (
        "[plugins]",
        "[dialects.ninety_nine]\nlist_paths = [\"/whatsapp/v2/block\"]\n[plugins]",
        10,
        "is listed twice",
    ),
    (
        "dir = \"plugins\"",
        "limits.nestings = 400",
        10,
        "there is no limit nestings; known are component_bytes",
    ),
    ("dir = \"plugins\"", "limits.nesting = 0", 10, "plugins.limits.nesting: must be from 1 to"),
    ("dir = \"plugins\"", "limits.nesting = \"400\"", 10, "a whole number, or a table"),
    (
        "dir = \"plugins\"",
        "limits.js.compile_seconds = 5000",
        10,
        "must be from 1 to 3600; leave it out for 10",
    ),
    ("[plugins]", "[limits]\nunverified_body_bytes = 1000\n[plugins]", 10, "64 MiB"),
    ("[plugins]", "[limits]\nbody_bytes = 1000\n[plugins]", 10, "server.max_body_bytes"),
    ("[plugins]", "[limits]\nanswer_bytes = 1000\n[plugins]", 10, "256 MiB"),
    ("[plugins]", "[limits]\nmax_connections = 3\n[plugins]", 10, "limit of open files"),
    ("[plugins]", "[limits]\nmax_connections_per_address = 1\n[plugins]", 10, "half of the connections"),
    ("[plugins]", "[limits]\nresponse_timeout_seconds = 0\n[plugins]", 10, "leave it out for 30"),
    ("[plugins]", "[limits]\nwrong_tokens_per_minute = 0\n[plugins]", 10, "leave it out for 60"),
    (
        "default_region = \"SE\"",
        "next_hops.outbound = \"http://{recipient}/send\"",
        15,
        "can't come from a message",
    ),
    (
        "default_region = \"SE\"",
        "next_hops.inbound = \"{body}://127.0.0.1/send\"",
        15,
        "into the path or the query",
    ),
    ("http://127.0.0.1:9000/in", "http://u:(set)@127.0.0.1:9000/in", 22, "with the secret itself"),
    ("[plugins]", "[meta]\nallowed_edges = [\"schedules\"]\n[plugins]", 10, "{waba-id}/some_edge"),
    ("[plugins]", "[meta]\nallowed_edges = [\"{id}/calls\"]\n[plugins]", 10, "calls reaches people"),
    (
        "phone_number_id = \"106540352242922\"",
        "number = \"46700000001\"",
        29,
        "sender support of tenant acme has this number",
    ),
    ("phone_number_id = \"106540352242922\"", "bot_id = \"acmebot\"", 29, "has this bot_id"),
    (
        "phone_number_id = \"106540352242922\"",
        "[[tenants.senders]]\nid = \"support\"",
        30,
        "two senders support",
    ),
];

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_to_do() {
    for &(right, wrong, line, what) in WRONG {
        assert!(GOOD.contains(right), "{right}");
        let message = parse(&GOOD.replacen(right, wrong, 1)).expect_err(wrong);
        assert!(message.starts_with(&format!("/etc/p.toml:{line}: ")), "{wrong}: {message}");
        assert!(message.contains(what), "{wrong}: {message}");
        assert!(!message.contains("acme-secret") && !message.contains("pw@"), "{wrong}: {message}");
    }
}

#[test]
fn a_plugin_that_is_not_there_is_told_with_its_line_and_keeps_no_other_tenant_from_being_served() {
    let config = parse(&GOOD.replace("id = \"globex\"", "id = \"globex\"\nplugin = \"exacter\"")).unwrap();
    let [absent] = &config.absent_plugins[..] else { panic!("one is not there") };
    assert_eq!(absent.tenant.as_str(), "globex");
    assert!(
        absent.problem.starts_with("/etc/p.toml:26: tenants[1].plugin: there is no plugin"),
        "{absent:?}"
    );
    assert_eq!(config.tenants.len(), 2);
}

#[test]
fn all_that_is_wrong_is_told_at_once_in_the_order_of_lines() {
    let text = GOOD.replace("127.0.0.1:8480", "nowhere").replace("\"SE\"", "\"XX\"").replace("acmebot", "");
    let message = parse(&text).unwrap_err();
    let lines: Vec<_> = message.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(
        lines,
        ["server.listen", "tenants[0].default_region", "tenants[0].senders[0].bot_id"],
        "{message}"
    );
}

#[test]
fn a_plugin_is_admitted_with_limits_of_its_own() {
    let limits = "limits = { nesting = 500, py = { functions = 30000, compile_seconds = 90 } }\ndir";
    let config = parse(&GOOD.replace("dir", limits)).unwrap();
    let (py, js) = (config.plugin_limits.of("py"), config.plugin_limits.of("js"));
    assert_eq!((py.compiling.nesting, py.compiling.functions, py.compiler_time.as_secs()), (500, 30_000, 90));
    assert_eq!(py.load, 4 * py.compiler_time);
    assert_eq!((js.compiling.nesting, js.compiling.functions, js.compiler_time.as_secs()), (500, 20_000, 10));
}
