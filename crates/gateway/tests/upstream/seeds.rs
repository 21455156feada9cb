//! The requests from which others are generated.

use super::{
    BLOCKED, BLOCKED_USER, FREE, FREE_USER, HELD, OTHER, OTHER_ACCOUNT, OWN, OWN_ACCOUNT, PROMOTION, Raw,
    SECOND, SENDER,
};

pub(super) const JSON: &str = "application/json";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
/// The content type with the boundary of [`part`].
pub(super) const MULTIPART: &str = "multipart/form-data; boundary=xyz";

pub(super) fn message(to: &str) -> String {
    format!(r#"{{"messaging_product":"whatsapp","to":"{to}","type":"text","text":{{"body":"x"}}}}"#)
}

pub(super) fn template(to: &str, name: &str) -> String {
    format!(
        r#"{{"messaging_product":"whatsapp","to":"{to}","type":"template","template":{{"name":"{name}","language":{{"code":"en"}}}}}}"#
    )
}

pub(super) fn part(head: &str, value: &str) -> String {
    format!("--xyz\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
}

pub(super) fn upload(more: &str) -> String {
    let file = part("name=\"file\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg", "\0\u{1}--xy\r\n");
    format!("{}{file}{more}--xyz--\r\n", part("name=\"messaging_product\"", "whatsapp"))
}

fn at(edge: &str) -> String {
    format!("/v25.0/{OWN}/{edge}")
}

fn post(target: &str, body: &str) -> Raw {
    Raw::new("POST", target, Some(JSON), body)
}

fn get(target: &str) -> Raw {
    Raw::new("GET", target, None, "")
}

/// Requests of real clients, which must pass unless they are for a blocked person.
pub(crate) fn ordinary() -> Vec<Raw> {
    let messages = at("messages");
    vec![
        post(&messages, &message(FREE)),
        post(&messages, &message(FREE)).of_sender(),
        post(&format!("/{OWN}/messages"), &message(FREE)),
        post(&format!("{messages}?messaging_product=whatsapp"), &message(FREE)),
        post(
            &messages,
            &format!(r#"{{"messaging_product":"whatsapp","recipient":"{FREE_USER}","type":"text"}}"#),
        ),
        post(&messages, &template(FREE, PROMOTION)),
        post(&messages, &template(HELD, "order_update")),
        post(&messages, r#"{"messaging_product":"whatsapp","status":"read","message_id":"wamid.x"}"#),
        post(&messages, r#"{"recipient_type":"group","to":"Y2FwaV9ncm91cDoxNzA1NTU1MDEzOTo","type":"text"}"#),
        post(&at("marketing_messages"), &template(FREE, "x")),
        post(
            &at("calls"),
            &format!(r#"{{"messaging_product":"whatsapp","to":"{FREE}","action":"connect"}}"#),
        ),
        post(&at("calls"), r#"{"messaging_product":"whatsapp","call_id":"wacid.x","action":"accept"}"#),
        post(&at("whatsapp_business_profile"), r#"{"messaging_product":"whatsapp","about":"x"}"#).of_sender(),
        post(&at("deregister"), ""),
        Raw::new("POST", &at("register"), Some(FORM), "messaging_product=whatsapp&pin=123456"),
        Raw::new("POST", &at("request_code?code_method=SMS&language=en_US"), None, ""),
        Raw::new("POST", &at("media"), Some(MULTIPART), &upload("")),
        Raw::new("DELETE", &at("message_qrdls/4O4YGZEG3RIVE1"), None, ""),
        post(
            &format!("/v25.0/{OWN_ACCOUNT}/message_templates"),
            r#"{"name":"x","language":"en","components":[]}"#,
        ),
        post(
            &format!("/v25.0/{OWN_ACCOUNT}/subscribed_apps"),
            r#"{"override_callback_uri":"https://a.example/x"}"#,
        ),
        Raw::new("DELETE", &format!("/v25.0/{OWN_ACCOUNT}/message_templates?name=x"), None, ""),
        Raw::new("POST", "/v25.0/1234567890123456/assets", Some(MULTIPART), &upload("")),
        Raw::new("POST", "/v25.0/upload:MTphdHRh?sig=x", Some("image/jpeg"), "batch=[]\0"),
        Raw::new("POST", "/v25.0/upload:MTphdHRh", None, "\0\0\0\u{18}ftypmp42&x=1"),
        Raw::new("POST", "/v25.0/upload:MTphdHRh", Some(FORM), "%PDF-1.7\n"),
        post("/v25.0/1234567890123456/unpause", ""),
        post("/v25.0/signups/1234567890123456", r#"{"status":"ACTIVE"}"#),
        post("/v25.0/1234567890123456/subscriptions?callback_url=https://a.example&access_token=1%7Cx", ""),
        get(&at("whatsapp_business_profile?fields=about,address")).of_sender(),
        get(&format!("/v25.0/{OWN}?fields=verified_name,quality_rating")),
        get(&format!("/v25.0/{OWN_ACCOUNT}/message_templates?limit=3&name=a%20b")),
        get(&format!("/v25.0/{OWN_ACCOUNT}?fields=analytics.start(1).end(2).granularity(DAY)")),
        get(&format!("/v25.0/1234567890123456?phone_number_id={OWN}")).of_sender(),
        get("/v25.0/1234567890123456"),
        get("/v20.0/me/application_details"),
        get(&at("messages?limit=1")),
        Raw::new("DELETE", "/v25.0/1234567890123456", None, ""),
    ]
}

/// Known bypasses, and requests that the rules are made for.
pub(crate) fn attacks() -> Vec<Raw> {
    let (messages, allowed) = (at("messages"), message(FREE));
    let batch = format!("%5B%7B%22method%22:%22POST%22,%22relative_url%22:%22{OWN}/messages%22%7D%5D");
    let mut attacks = vec![
        Raw::new("POST", &format!("/me?batch={batch}"), None, ""),
        Raw::new("POST", &format!("/v20.0/{OWN}?batch={batch}"), None, "").of_sender(),
        Raw::new("POST", &at("whatsapp_business_profile"), Some(FORM), "batch=%5B%5D"),
        post(&at("whatsapp_business_profile"), r#"{"batch":[]}"#),
        post(&at("whatsapp_business_profile"), r#"{"b\u0061tch":[]}"#),
        Raw::new("POST", &at("media"), Some(MULTIPART), &upload(&part("name=\"batch\"", "[]"))),
        Raw::new("POST", &at("media"), Some(MULTIPART), &upload(&part("name=\"Method\"", "post"))),
        Raw::new(
            "POST",
            &at("media"),
            Some(MULTIPART),
            &upload("").replace(
                "--xy\r",
                "\n--xyz\nContent-Disposition: form-data; name=\"batch\"\n\n[]\n--xyz\n\r",
            ),
        ),
        Raw::new("POST", &at("media"), Some("image/jpeg"), "batch=[]"),
        get(&format!("/?batch={batch}&method=post")),
        get(&format!("{messages}?method=post&to={BLOCKED}&type=text")),
        get(&format!("/v20.0/{OWN}%3Fbatch={batch}")),
        get("/v20.0/1234567890123456?b%61tch=[]"),
        get("/v20.0/1234567890123456?x=1;batch=[]"),
        get(&format!("/v20.0/me?ids={OTHER}")),
        post(&format!("{messages}?to={BLOCKED}&type=text"), "{}"),
        post(&format!("{messages}?to={BLOCKED}&type=text"), &allowed),
        post(&at("messages_encrypted"), r#"{"messaging_product":"whatsapp","encrypted_contents":"x.y.z"}"#),
        post(&at("calls"), &format!(r#"{{"to":"{BLOCKED}","action":"connect"}}"#)),
        post(
            "/v25.0/Y2FwaV9ncm91cDoxNzA1NTU1MDEzOTo/participants",
            &format!(r#"{{"participants":[{{"user":"{BLOCKED}"}}]}}"#),
        ),
        post(&at("unknown_edge"), &message(BLOCKED)),
        // About senders of other tenants.
        get(&format!("/v25.0/{OTHER}")),
        get(&format!("/v25.0/0{OTHER}")),
        get(&format!("/v25.0/%31{}", &OTHER[1..])),
        get(&format!("/v25.0/1234567890123456?phone_number_id={OTHER}")),
        post(
            &format!("/v25.0/{OWN_ACCOUNT}/migrate_flows"),
            &format!(r#"{{"source_waba_id":"{OTHER_ACCOUNT}"}}"#),
        ),
        post(&format!("/v25.0/{OWN_ACCOUNT}/subscribed_apps"), "{}").of_sender(),
        post(
            &format!("/v25.0/{OWN}"),
            r#"{"webhook_configuration":{"override_callback_uri":"https://a.example","verify_token":"x"}}"#,
        )
        .of_sender(),
        post(&at("settings"), r#"{"calling":{"sip":{"status":"ENABLED"}}}"#).of_sender(),
        get(&at("settings?include_sip_credentials=true")).of_sender(),
        Raw::new("POST", &at("deregister"), None, "").of_sender(),
        get(&format!("/v25.0/{OWN_ACCOUNT}")).of_sender(),
        get(&format!("/v25.0/{SECOND}")).of_sender(),
        Raw::new("DELETE", &format!("/v25.0/1234567890123456?phone_number_id={OWN}"), None, "").of_sender(),
        get(&format!("/v25.0/1234567890123456?phone_number_id={SECOND}")).of_sender(),
        get("/v25.0/me").of_sender(),
        get(&format!("/v25.0/{OWN}?fields=whatsapp_business_account{{phone_numbers}}")).of_sender(),
        post(&format!("{messages}?access_token={SENDER}"), &allowed),
        Raw::new("POST", "/v25.0/upload:MTphdHRh", None, "x=1&batch=[]"),
        Raw::new("POST", "/v25.0/upload:MTphdHRh", Some(FORM), "{\"batch\":[]}"),
        Raw::new("POST", &at("register"), Some(FORM), &format!("pin=1&access_token={SENDER}")),
    ];
    for path in [
        "messages/.",
        "messages/%2e",
        "messages/x/..",
        "messages;x=1",
        "messages%3fx",
        "messages%23x",
        "messages%00x",
        "messages.json",
        "messages/extra",
        "%256dessages",
        "/messages",
        "./messages",
        "Messages",
        "messages/",
    ] {
        attacks.push(post(&at(path), &message(BLOCKED)));
    }
    for path in [
        format!("/v20.0/v20.0/{OWN}/messages"),
        format!("/V20.0/{OWN}/messages"),
        format!("//{OWN}/messages"),
        format!("/{OWN}%2fmessages"),
        "/v20.0/marketing_messages".to_owned(),
    ] {
        attacks.push(post(&path, &message(BLOCKED)));
    }
    for name in ["recipient", "recipient_type", "template", "method", "batch", "To", "to[]", "%74o", "t%256f"]
    {
        attacks.push(post(&format!("{messages}?{name}={BLOCKED}"), &allowed));
    }
    for body in [
        format!(r#"{{"recipient_type":"group","to":"{BLOCKED}","type":"text"}}"#),
        format!(r#"{{"recipient_type":"group","to":"x{BLOCKED}","type":"text"}}"#),
        format!(r#"{{"to":"{FREE}","recipient":"{BLOCKED}"}}"#),
        format!(r#"{{"recipient":"{BLOCKED}","type":"text"}}"#),
        format!(r#"{{"to":"{FREE}","recipient":"{BLOCKED_USER}"}}"#),
        format!(r#"{{"to":"{FREE}","To":"{BLOCKED}"}}"#),
        format!(r#"{{"to":"{FREE}","to[]":"{BLOCKED}"}}"#),
        format!(r#"{{"to":"{FREE}","to":"{BLOCKED}"}}"#),
        format!(r#"{{"to":["{BLOCKED}"],"recipient":"{FREE_USER}"}}"#),
        format!(r#"{{"to":"{FREE}"}}{{"to":"{BLOCKED}"}}"#),
        format!(r#"{{"to":"{FREE}","template":{{"name":"x","name":"{PROMOTION}"}}}}"#),
        format!(r#"{{"to":"{HELD}","template":{{"name":"x","Name":"{PROMOTION}"}}}}"#),
        format!(r#"{{"to":"{HELD}","template":"{{\"name\":\"{PROMOTION}\"}}"}}"#),
        format!(r#"{{"status":"read","message_id":"x","to":"{BLOCKED}"}}"#),
        template(HELD, PROMOTION),
    ] {
        attacks.push(post(&messages, &body));
    }
    let polyglot = format!(r#"{{"to":"{FREE}","x":"&to={BLOCKED}&"}}"#);
    for kind in
        [None, Some(FORM), Some("application/json, application/x-www-form-urlencoded"), Some("text/plain")]
    {
        attacks.push(Raw::new("POST", &messages, kind, &polyglot));
    }
    attacks.push(Raw::new("POST", &messages, Some(FORM), &format!("to={BLOCKED}&type=text")));
    attacks.push(Raw::new("POST", &at("whatsapp_business_profile"), None, "batch=[]"));
    let mut two_types = post(&messages, &polyglot);
    two_types.headers.push(("content-type".to_owned(), FORM.to_owned()));
    attacks.push(two_types);
    for (name, value) in
        [("x-http-method-override", "POST"), ("content-encoding", "gzip"), ("authorization", "Bearer x")]
    {
        let mut with_header = post(&messages, &allowed);
        with_header.headers.push((name.to_owned(), value.to_owned()));
        attacks.push(with_header);
    }
    attacks.push(Raw::new("GET", "/v25.0/1234567890123456", Some(FORM), "batch=[]"));
    attacks
}
