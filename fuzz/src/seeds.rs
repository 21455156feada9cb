//! The inputs that every search begins with: small, valid and nasty ones. Files in `corpus` that are not made here are inputs that
//! once broke a target.

use portcullis_hashed_set::{DirectedSet, SaveCursor};
use portcullis_msisdn::{Directions, Subject};

use crate::upstream::{Raw, seeds};

/// Inputs, by the name of their target.
pub type Seeds = Vec<(&'static str, Vec<Vec<u8>>)>;

/// Texts, each behind one byte that chooses how it is read.
fn chosen(texts: &[(u8, &str)]) -> Vec<Vec<u8>> {
    texts.iter().map(|(choice, text)| [&[*choice], text.as_bytes()].concat()).collect()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn framed(frames: impl IntoIterator<Item: AsRef<[u8]>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        let frame = frame.as_ref();
        bytes.extend(u16::try_from(frame.len()).expect("it fits").to_le_bytes());
        bytes.extend(frame);
    }
    bytes
}

fn set(members: impl IntoIterator<Item = u64>) -> Vec<Vec<u8>> {
    let kinds = [Directions::BOTH, Directions::INBOUND, Directions::OUTBOUND];
    let members = members.into_iter().map(|member| Subject::new(member).expect("it fits"));
    let set: DirectedSet = members.zip(kinds.into_iter().cycle()).collect();
    let (mut parts, mut cursor) = (Vec::new(), Some(SaveCursor::START));
    while let Some(at) = cursor {
        let part = set.save_part(at, 64);
        parts.push(part.bytes);
        cursor = part.next;
    }
    parts
}

/// Parts of a set, valid and not.
fn sets() -> Vec<Vec<u8>> {
    let whole = set((1..60).map(|n| n * 54_975_581_389));
    let mut overlapping = set([4711]);
    // The same member in two of the sets.
    overlapping[1] = overlapping[0].clone();
    overlapping[1][5] = 1;
    let mut swapped = whole.clone();
    swapped.swap(0, 1);
    [set([]), set([0, 1, 2, Subject::MAX.get()]), whole, overlapping, swapped].map(framed).into()
}

/// Saved entries of the plugin `prefix`: is it the last part, where it begins, how many entries, and the entries.
fn prefix_part(last: bool, first: u64, entries: &[&[u8]]) -> Vec<u8> {
    let count = (entries.len() as u64).to_le_bytes();
    [&[u8::from(last)][..], &first.to_le_bytes(), &count, &entries.concat()].concat()
}

fn plugin_states() -> Vec<Vec<u8>> {
    let exact = sets().into_iter().map(|parts| [vec![0], parts].concat());
    let prefix = [
        vec![prefix_part(true, 0, &[])],
        vec![prefix_part(true, 0, &[&[0x87, 0x01], &[0x05]])],
        vec![prefix_part(false, 0, &[&[0x03]]), prefix_part(true, 1, &[&[0x02]])],
        vec![prefix_part(true, 0, &[&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]])],
    ];
    exact.chain(prefix.map(|parts| [vec![1], framed(parts)].concat())).collect()
}

fn state_files() -> Vec<Vec<u8>> {
    // Hashed, a sequence, a count, a version, and a name.
    let header: Vec<u8> = [&[1, 0][..], &[7; 8], &[9; 8], &[1, 0, 0, 0], b"hashed-set"].concat();
    let sealed = |records: &[&[u8]]| [vec![1], framed(records)].concat();
    vec![
        [&[0], &b"portcullis state\x01"[..], &[0; 16], &[1, 200, 0, 0, 0]].concat(),
        sealed(&[&header, &[0]]),
        sealed(&[&header, b"\x02one", b"\x02", b"\x02three", &[0]]),
        sealed(&[&header, b"\x02one", &[3, 0, 0, 0, 0, 0, 0, 0, 0]]),
        sealed(&[&[0], &header, &[0]]),
        sealed(&[&header, &[0], &[0]]),
        sealed(&[&[1, 2], b"\x02one", &[0]]),
    ]
}

/// A cursor of each kind, and texts that are none.
fn cursors() -> Vec<Vec<u8>> {
    texts(&[
        // {"offset":25,"versionId":"7","at":"8h2kq0m5zr"}
        "eyJvZmZzZXQiOjI1LCJ2ZXJzaW9uSWQiOiI3IiwiYXQiOiI4aDJrcTBtNXpyIn0",
        "eyJvZmZzZXQiOjI1LCJ2ZXJzaW9uSWQiOiI3IiwiYXQiOiI4aDJrcTBtNXpyIn0=",
        // The number of the version with zeros in front, and an id in capitals.
        "eyJvZmZzZXQiOjAsInZlcnNpb25JZCI6IjAwNyIsImF0IjoiOEgyS1FPTTVaUiJ9",
        "e30",
        "",
    ])
}

fn request(raw: &Raw) -> Vec<u8> {
    let mut bytes = format!("{} {}\n", raw.method, raw.target).into_bytes();
    for (name, value) in &raw.headers {
        bytes.extend(format!("{name}: {value}\n").into_bytes());
    }
    bytes.push(b'\n');
    bytes.extend(&raw.body);
    bytes
}

fn gate() -> Vec<Vec<u8>> {
    let ordinary = seeds::ordinary();
    let attacks = seeds::attacks();
    // Enough to begin with: each kind of path, and each kind of body.
    ordinary.iter().step_by(3).chain(attacks.iter().step_by(6)).map(request).collect()
}

/// Behind sizes of pieces.
fn in_pieces(sizes: &[u8], bodies: &[&str]) -> Vec<Vec<u8>> {
    let count = u8::try_from(sizes.len()).expect("it fits");
    bodies.iter().map(|body| [&[count], sizes, body.as_bytes()].concat()).collect()
}

const FILE: &str =
    "Content-Disposition: form-data; name=\"file\"; filename=\"a; b.jpg\"\r\nContent-Type: image/jpeg";

fn multiparts() -> Vec<Vec<u8>> {
    let part = |head: &str, value: &str| format!("--xyz\r\n{head}\r\n\r\n{value}\r\n");
    let field =
        |name: &str, value: &str| part(&format!("Content-Disposition: form-data; name=\"{name}\""), value);
    let bodies = [
        format!("{}{}--xyz--\r\n", field("messaging_product", "whatsapp"), part(FILE, "\r\n--xy\r\n--\0--x")),
        format!("{}--xyz--", field("batch", "[]")),
        format!("{}--xyz--", field("source_waba_id", "106540352242999")),
        format!("{}--xyz--", part(FILE, "a\r\n--xyzw\r\nb")),
        format!("{}--xyz--\r\nx", part(FILE, "")),
        format!("{}--xyz--", part("Content-Disposition: form-data; name=\"a\\\"; name=\\\"batch\"", "x")),
    ];
    in_pieces(&[1, 7], &bodies.each_ref().map(String::as_str))
}

const MESSAGES: [&str; 7] = [
    r#"{"messaging_product":"whatsapp","to":"+46732000001","type":"text","text":{"body":"x"}}"#,
    r#"{"to":12025550101,"recipient":null,"type":"template","template":{"name":"promo","language":{"code":"en"}},"x":[1.50]}"#,
    r#"{"recipient_type":"group","to":"Y2FwaV9ncm91cDoxNzA1NTU1MDEzOTo","type":"text"}"#,
    r#"{"status":"read","message_id":"wamid.x","typing_indicator":{"type":"text"}}"#,
    r#"{"recipient":"US.13491208655302741918","action":"connect","\u0074o":"1"}"#,
    r#"{"to":"1","to":"2"}"#,
    r#"{"To":"1","recipients":[],"to ":1e999,"x":"\ud83d"}"#,
];

const PATHS: [&str; 8] = [
    "/v25.0/106540352242922/messages",
    "/106540352242922/",
    "/v24.0/106540352242922/message_qrdls/4O4YGZEG3RIVE1",
    "/v24.0/Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD/invite_link",
    "/v25.0/upload:MTphdHRhY2htZW50OjlkMmJiZxUwLWV6MDUtNDIwMy05yTA3LWQ4ZDPmZGFkNTM0NT8=",
    "/v19.0/act_120229306178900226/insights",
    "/v25.0/signups/1234567890123456",
    "/v25.0/./106540352242922%2f..;x//messages",
];

const QUERIES: [&str; 6] = [
    "limit=3&name=a%20b",
    "fields=pricing_analytics.start(1748761200).end(1748847600).granularity(DAILY)&access_token=x",
    "filtering=[{%22field%22%3A%22partners%22}]&a[]=1&a[0][b]=2",
    "b%61tch=1&_method=post",
    "a=1&&b&=c&a=2",
    "a=%0&b=;+%ff%00",
];

const FIELDS: [(u8, &str); 10] = [
    (
        0,
        r#"{"messaging_product":"whatsapp","about":"h\u00e9j; batch=1","websites":["https://a.example/?to=1"]}"#,
    ),
    (0, r#"{"a":{"b":[1,{"c":106540352242999}]}}"#),
    (0, r#"{"a":1.06540352242999e14,"b":-0,"c":1e999}"#),
    (0, r#"{"b\u0061tch":[],"x":{"ids":1}}"#),
    (1, "messaging_product=whatsapp&pin=123456\n"),
    (1, "tasks=%5B%22MANAGE%22%5D&user=1&a[]=1"),
    (1, "x=1&METHOD=post&b%61tch=1"),
    (1, "a=1&source_waba_id=%31065403522429%39%39"),
    (1, "a=1;batch=2\r\n\r\n"),
    (1, "a=1+0&b=%2b"),
];

const UPLOADS: [&str; 5] = [
    "\0\0\0\u{18}ftypmp42&x;batches=1\nbatc",
    "%PDF-1.7\n1=2",
    "x=1\nb%2561tch=[]",
    "x=1&_method=post",
    "\0{\"batch\":[]}",
];

const WEBHOOKS: [&str; 9] = [
    r#"{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"12025550100","phone_number_id":"106540352242922"},"contacts":[{"profile":{"name":"\u00e5"},"wa_id":"46732000001"},{"wa_id":"12025550101","user_id":"US.13491208655302741918"}],"messages":[{"from":"46732000001","id":"wamid.1","timestamp":"1749416383","type":"text","text":{"body":"hej 👍"}},{"from":"12025550101","id":"wamid.2","timestamp":"1749416384","type":"text","text":{"body":"STOP"}}]},"field":"messages"}]}]}"#,
    r#"{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"value":{"metadata":{"phone_number_id":"106540352242923"},"messages":[{"from":"46732000001","id":"wamid.1","timestamp":"1749416383","type":"text","text":{"body":"hej"}}],"statuses":[{"id":"wamid.3","recipient_id":"46732000001","status":"read","timestamp":"1749416383"}]},"field":"messages"}]}]}"#,
    r#"{"object":"whatsapp_business_account","entry":[{"id":"102290129340399","changes":[{"value":{"metadata":{"phone_number_id":"106540352242924"},"messages":[{"from":"12025550102","id":"wamid.1","timestamp":"1749416383","type":"system","system":{"body":"moved","new_wa_id":"12025550103","type":"user_changed_number"}}]},"field":"messages"}]},{"id":"1","changes":[{"field":"account_update","value":{"event":"x"}}]}]}"#,
    r#"{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"value":{"metadata":{"phone_number_id":"106540352242922"},"history":[{"metadata":{"phase":1},"threads":[{"id":"46732000001","messages":[{"from":"46732000001","id":"wamid.1","timestamp":"1749416383","type":"text","text":{"body":"hej"}}]}]}]},"field":"history"},{"value":{"metadata":{"phone_number_id":"106540352242922"},"calls":[{"id":"wacid.1","from":"46732000001","to":"12025550100","event":"connect","direction":"USER_INITIATED","timestamp":"1749416383"}],"message_echoes":[{"from":"12025550100","to":"46732000001","id":"wamid.2"}]},"field":"calls"}]}]}"#,
    r#"{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"value":{"metadata":{"phone_number_id":"106540352242922"},"user_preferences":[{"wa_id":"46732000001","detail":"x","category":"marketing_messages","value":"stop","timestamp":1749416383}],"standby":[{"messages":[{"from":"46732000001"}]}]},"field":"user_preferences"}]}]}"#,
    r#"{"entry":[{"changes":[{"value":{"a":1,"\ud83d":2},"value":{"a":3}}],"changes":[{"value":4}]}],"entry":[{"id":"2"}]}"#,
    r#"{"entry":1,"entry":[1,{"changes":1},{"changes":[]},{"changes":null},{"changes":[null,1,{"value":[]},{"field":"x"}]}]}"#,
    r#"{"object":"page","entry":[{"id":"5","messaging":[{"sender":{"id":"1"}}]}]}"#,
    r#"{"object":"x", "entry": null, "entry":[{"m\u0065ssages":1}],"new":{"b":"é"}}"#,
];

const SAID: [&str; 8] = [
    r#"{"from":"46732000002","from_user_id":"SE.1","text":{"body":"Stop, please."}}"#,
    r#"{"from":12025550101,"button":{"text":"START","payload":"STOP"}}"#,
    r#"{"interactive":{"button_reply":{"title":"UNSTOP"},"list_reply":{"title":"stop"}}}"#,
    r#"{"edit":{"message":{"text":{"body":"arrêt"}}},"text":"STOP"}"#,
    r#"{"text":{"body":["STOP"]},"from":"+46 73-200 00 02","from":null}"#,
    r#"{"text":{"body":"STOP \ud83d","body":"x"},"fr\u006fm":"US.1"}"#,
    "{ }",
    r#"{"n":1e999,"z":[[[[[1]]]]],"é":"ｓｔｏｐ"}"#,
];

const NUMBERS: [&str; 12] = [
    "+46732000001",
    "0046 73-200 00 01",
    "46 (0)73-200 00 01",
    "+39 06 698 12345",
    "011 1 202 555 0101",
    "+1 (202) 555-01.01",
    "46732000001.0",
    "+54 9 11 15 2345 6789",
    "+52 1 55 1234 5678",
    "8 10 46 73 200 00 01",
    "+999123",
    "٠٧٣+1\u{a0}2",
];

const CSV: [(u8, &str); 10] = [
    (0, "number\n+46732000001\n46732000002.0\n\"=\"\"+46732000003\"\"\"\n"),
    (
        0,
        "Phone;Reason;Directions;Expires\r\n+46732000001;\"rude; on\nthe phone\";inbound,outbound;2030-12-31T23:59:59Z\r\n",
    ),
    (
        0,
        "sep=;\nnumber;hold;source;requested\n+46732000001;opt_out;import;2024-03-31\n+12025550101;operator;manual;\n",
    ),
    (
        4,
        "wa_id\tdate\tstatus\n46732000001\t2024-03-31 12:00:00\tinactive\n12025550101\t1711886400\tsubscribed\n",
    ),
    (0, "number,hold,status,requested\n+46732000001,opt_out,inactive,2024-03-31T12:00:00+02:00\n"),
    (1, "number,requested\nuser:US.13491208655302741918,1711886400000\n"),
    (0, "number,reason\n+46732000001,\"unclosed\n+46732000002,x\n+46732000003,\"y\"\"z\"\n"),
    (0, "\u{feff}\n\nto,from\n1,2\n"),
    (6, "number,marketing\r+46732000001,yes\r\n4.6732E+10,no\n"),
    (0, "number,number\n+46732000001,\u{0}\n"),
];

const NDJSON: [(u8, &str); 7] = [
    (0, "{\"number\":\"+46732000001\"}\n\n{\"number\":46732000002}\n{\"number\":46732000003.0,\"x\":[1]}\n"),
    (
        0,
        "{\"number\":\"+46732000001\",\"reason\":\"\\u00e5\\n\",\"directions\":[\"inbound\"],\"expires\":\"2030-12-31T23:59:59Z\"}",
    ),
    (
        4,
        "{\"wa_id\":\"46732000001\",\"opted_out_at\":1711886400,\"status\":\"inactive\",\"hold\":\"opt_out\"}\n",
    ),
    (
        0,
        "{\"number\":\"+46732000001\",\"source\":\"opt_out\",\"hold\":\"marketing\",\"requested\":\"2024-03-31\"}\n",
    ),
    (1, "{\"phone\":\"user:x\",\"directions\":\"both\"}\n{\"phone\":\"1\",\"phone\":\"2\"}\n"),
    (0, "{\"number\":4.6e10}\n{\"number\":-1}\n{\"number\":null}\n[]\n{\"number\":\"\\ud83d\"}\n"),
    (0, "{\"number\":\"'+46732000001\",\"directions\":[]}\r{\"from\":\"1\",\"to\":\"2\"}\n"),
];

const PLAIN: [(u8, &str); 4] = [
    (0, "# numbers\n+46732000001\n\n46732000002.00\r\n'+46732000003\n=\"46732000004\"\n"),
    (2, "+1 (202) 555-0101\ruser:US.13491208655302741918\n0046732000001,0\n"),
    (1, "46732000001;x\n4.6732E+10\n\u{a0}+46732000001\u{a0}\n"),
    (0, "\u{feff}+46732000001"),
];

const CONFIGS: [&str; 6] = [
    "[server]\nlisten = \"127.0.0.1:8480\"\nadmin_token = \"admin-secret\"\ntrusted_proxies = [\"10.0.0.5\"]\n\n[storage]\nurl = \"sqlite://data/portcullis.db\"\n\n[[tenants]]\nid = \"acme\"\ntokens = [\"acme-secret\"]\ndefault_region = \"SE\"\nplugin_options = { depth = 3 }\n\n[[tenants.senders]]\nid = \"support\"\nnumber = \"+46 73-200 00 01\"\nbot_id = \"acmebot\"\ncallback_url = \"http://127.0.0.1:9000/in\"\n",
    "server.listen = \"[::1]:1\"\nstorage.url = \"sqlite://x\"\n[plugins]\nwatch_seconds = 60\n[meta]\nupstream = \"https://graph.facebook.com\"\n[traffic]\nmax_in_flight = 5\n[dialects]\n",
    "[server]\nlisten = 46732000001\n[storage]\nurl = \"sqlite://\"\n",
    "[server]\nlisten = \"x\"\nmax_body_bytes = 1\n[storage]\nurl = \"postgres://x\"\n[[tenants]]\nid = \"a b\"\nplugin = \"none\"\nmemory_limit_bytes = 1\nreplicas = 65\nrate_limit = { per_second = 0 }\n[[tenants.senders]]\nid = \"s\"\nnumber = \"1\"\nblocked_inbound = \"quarantine\"\n",
    "[server]\nlisten = \"127.0.0.1:1\"\n\"46732000001\" = 1\n[storage]\nurl = \"sqlite://x\"\n[[tenants]]\nid = \"a\"\nplugin_options = { when = 2024-03-31 }\n",
    "[server\n",
];

const TENANTS: [&str; 6] = [
    r#"{"id":"acme","plugin":"prefix","tokens":["sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","x"],"default_region":"SE","rate_limit":{"per_second":5},"opt_out":{"languages":["sv","tr"],"stop":["sluta"]},"senders":[{"id":"support","number":"+46732000001","phone_number_id":"106540352242922","waba_id":"1","blocked_inbound":"mark"}]}"#,
    r#"{"id":"a","events":{"url":"https://a.example/x","secret":"s"},"next_hops":{"outbound":"http://127.0.0.1:9/{sender}/{recipient}?x={body}"},"access_token":"t","plugin_options":{"block":["46"],"x":[1.5,null]}}"#,
    r#"{"id":"a","plugin_version":"sha256:00","on_failure":"ledger","acknowledge":"fleet","clear_numbers":true,"rules":[{"plugin":"policy","version":"sha256:00","options":{"x":[1]},"grants":["number","local-time"]},{"plugin":"policy","grants":["sender","sender"]}],"templates":{"authentication":["otp_*"]},"sid":"S","memory_limit_bytes":1048576,"replicas":64,"dialects":{"spoken":["meta"],"capacity":0},"senders":[{"active":false,"id":"b","bot_id":"x","tokens":[],"quarantine_url":"http://h","unreadable_inbound":"quarantine"}]}"#,
    r#"{"id":"","replicas":0,"default_region":"se","tokens":["","a b"],"access_token":"(set)","senders":[{"id":"..","number":"0732000001","callback_url":"ftp://x"}]}"#,
    r#"{"id":46732000001}"#,
    "{}",
];

const API_REQUESTS: [&str; 8] = [
    r#"{"number":"+46732000001","direction":"outbound"}"#,
    r#"{"numbers":["+46732000001","073-200 00 02"],"direction":"inbound"}"#,
    r#"{"number":"+46732000001","directions":["inbound"],"reason":"rude","source":"import","hold":"opt_out","expires":"2030-12-31T23:59:59Z","requested":"2024-03-31T12:00:00Z","dry_run":true,"brief":true,"on_invalid":"skip"}"#,
    r#"{"entries":[{"number":"user:US.1","reason":"\u00e5","hold":"marketing"},{"number":"1"}]}"#,
    r#"{"numbers":["+46732000001"],"hold":"any","directions":[],"dry_run":false}"#,
    r#"{"number":46732000001,"direction":"outbound"}"#,
    r#"{"46732000001":1}"#,
    r#"{"number":"1","hold":"46732000001","entries":[{"number":"1","46732000001":2}]}"#,
];

/// One that verifies, one in the old format, one whose comment was changed, and one that is cut off.
const SIGNATURES: [&str; 4] = [
    "untrusted comment: signature from minisign secret key\nRUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\ntrusted comment: timestamp:1633700835\tfile:test\tprehashed\nwLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n",
    "untrusted comment: signature from minisign secret key\nRWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=\ntrusted comment: timestamp:1555779966\tfile:test\nQtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==\n",
    "untrusted comment: signature from minisign secret key\nRUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\ntrusted comment: timestamp:1633700836\tfile:test\tprehashed\nwLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n",
    "untrusted comment: \nRUQf6LRC\ntrusted comment: \n",
];

const DIALECT_BODIES: [&str; 8] = [
    r#"{"numbers":["46732000001",12025550101]}"#,
    r#"{"apiKey":"k","from":"46732000001","whatsapp":12025550101}"#,
    r#"{"apiKey":1,"from":null,"number":"1","phone":"2"}"#,
    r#"{"senderId":"1","phone":46732000001,"reason":"x","source":"api","status":"ACTIVE","authToken":"t","auth_token":"t","token":"t"}"#,
    r#"{"messaging_product":"whatsapp","block_users":[{"user":"+46732000001"},{"user_id":"US.1"},{"user":12025550101}]}"#,
    r#"{"messaging_product":46732000001,"numbers":"46732000001","status":46732000001}"#,
    r#"{"numbers":[1.5,-46732000001,[46732000001]],"block_users":{"46732000001":1}}"#,
    "[]",
];

/// Manifests of backups.
const MANIFESTS: [&str; 5] = [
    r#"{"format":1,"portcullis":"0.1.0","complete_until":"2026-12-01T03:00:00.5Z","finished":"2026-12-01T03:00:02Z","database":{"kind":"sqlite","ledger":"00","commit":4711,"schema":8,"tenants":1,"lists":2,"entries":3,"findings":0},"master_key":{"fingerprint":"0011223344556677","origin":"the key file portcullis.key","included":false},"configuration":{"path":"/etc/portcullis.toml","digest":"00"},"files":[{"path":"ledger.db","bytes":4096,"sha256":"00","modified":"2026-12-01T02:59:59Z"},{"path":"plugins/.versions/exact@00.wasm","bytes":4096,"sha256":"00","modified":"2026-12-01T02:59:59Z"}]}"#,
    r#"{"format":1,"portcullis":"0.1.0","complete_until":"2026-12-01T03:00:00.5Z","finished":"2026-12-01T03:00:02Z","database":{"kind":"postgres","url":"postgres://db/lists"},"master_key":{"fingerprint":"0011223344556677","origin":"the key file portcullis.key","included":false},"configuration":{"path":"/etc/portcullis.toml","digest":"00"},"files":[]}"#,
    r#"{"format":1,"portcullis":"0.1.0","complete_until":"2026-12-01T03:00:00.5Z","finished":"2026-12-01T03:00:02Z","database":{"kind":"sqlite","ledger":"00","commit":4711,"schema":8,"tenants":1,"lists":2,"entries":3,"findings":0},"master_key":{"fingerprint":"0011223344556677","origin":"the key file portcullis.key","included":false},"configuration":{"path":"/etc/portcullis.toml","digest":"00"},"files":[{"path":"../ledger.db","bytes":4096,"sha256":"00","modified":"2026-12-01T02:59:59Z"}]}"#,
    r#"{"format":1,"portcullis":"0.1.0","complete_until":"2026-12-01T03:00:00.5Z","finished":"2026-12-01T03:00:02Z","database":{"kind":"sqlite","ledger":"00","commit":4711,"schema":8,"tenants":1,"lists":2,"entries":3,"findings":0},"master_key":{"fingerprint":"0011223344556677","origin":"the key file portcullis.key","included":false},"configuration":{"path":"/etc/portcullis.toml","digest":"00"},"files":[{"path":"plugins//etc","bytes":4096,"sha256":"00","modified":"2026-12-01T02:59:59Z"}]}"#,
    r#"{"format":2}"#,
];

/// The seeds of each target.
pub fn all() -> Seeds {
    let every = |choices: &[u8], texts: &[&str]| -> Vec<Vec<u8>> {
        texts
            .iter()
            .zip(choices.iter().cycle())
            .map(|(text, choice)| [&[*choice], text.as_bytes()].concat())
            .collect()
    };
    let mut identities = every(&[0, 1, 3], &NUMBERS[..4]);
    identities.extend(chosen(&[
        (0, "user:US.13491208655302741918"),
        (1, "user:"),
        (0, "User:1"),
        (2, "user:é"),
    ]));
    vec![
        ("api_request", texts(&API_REQUESTS)),
        (
            "component",
            vec![
                // An empty component, and an empty module.
                b"\0\0asm\x0d\0\x01\0".to_vec(),
                b"\0\0asm\x01\0\0\0".to_vec(),
                vec![1],
                vec![1, 8, 0, 0, 1],
                vec![1, 0, 16, 0, 0x0c, 1, 16, 2, 0x80],
            ],
        ),
        ("config", texts(&CONFIGS)),
        ("csv", chosen(&CSV)),
        ("cursor", cursors()),
        ("dialect_body", texts(&DIALECT_BODIES)),
        ("fields", chosen(&FIELDS)),
        ("gate", gate()),
        ("graph_path", texts(&PATHS)),
        ("identity", identities),
        ("manifest", texts(&MANIFESTS)),
        ("message", texts(&SAID)),
        ("msisdn", texts(&NUMBERS)),
        ("multipart", multiparts()),
        ("ndjson", chosen(&NDJSON)),
        ("number", every(&[0, 1, 2, 3, 4, 5, 6], &NUMBERS)),
        ("partition", every(&[0, 1], &WEBHOOKS)),
        ("plain", chosen(&PLAIN)),
        ("plugin_state", plugin_states()),
        ("query", texts(&QUERIES)),
        ("send_body", texts(&MESSAGES)),
        ("set", sets()),
        ("signature", texts(&SIGNATURES)),
        ("state_file", state_files()),
        ("tenant", texts(&TENANTS)),
        ("upload", in_pieces(&[1, 3], &UPLOADS)),
        ("webhook", texts(&WEBHOOKS)),
    ]
}
