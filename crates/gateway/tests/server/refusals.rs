//! Mistakes of clients, and the error messages for them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;
use ureq::http::Request;

use super::raw::{answer_to_head, connect, head, read_head, status};
use super::support::{ACME, Gateway};

const CHECK: &str = "/senders/support/check";
const ENTRIES: &str = "/senders/support/entries";

#[test]
fn errors_say_why_a_number_is_invalid_without_repeating_it() {
    let gateway = Gateway::start();
    for (number, why) in [
        ("", "no digits"),
        ("+", "no digits"),
        ("call me", "letter"),
        ("+46732001122 ext 5", "letter"),
        ("+1234567890123456", "more than 15"),
        ("1234567890123456", "more than 15"),
        ("+46 099", "too short"),
        ("44", "too short"),
        ("+34 0 612 345 678", "dialled inside its country only"),
        ("46732001122.0", "decimal point"),
        ("+46732001122,+46732002244", "U+002C"),
        ("+٤٦٧٣٢٠٠١١٢٢", "ASCII"),
        (&"1".repeat(65), "longer than 64 bytes"),
    ] {
        for (path, body) in [
            (CHECK, json!({ "number": number, "direction": "inbound" })),
            (ENTRIES, json!({ "number": number })),
        ] {
            let answer = gateway.post(path, body);
            let message = answer.error(400, "invalid_number");
            assert!(message.contains(why), "{number}: {message}");
            assert!(!answer.json.to_string().contains("46732001122"), "{}", answer.json);
        }
    }
}

#[test]
fn errors_say_which_field_of_a_body_is_invalid() {
    let gateway = Gateway::start();
    let check =
        |body: &str| gateway.call("POST", &format!("/portcullis/v1{CHECK}"), ACME, Some(body.to_owned()));
    for body in [
        "{",
        "{\"number\": +46732001122}",
        "number=46732001122&direction=inbound",
        "\u{feff}{}",
        r#"{"number": "1", "direction": "inbound"} x"#,
    ] {
        let answer = check(body);
        assert!(answer.error(400, "invalid_json").contains("line 1, column"), "{body}");
    }
    for (body, field, what) in [
        (r#"{"number": "+46732001122"}"#, "", "missing field `direction`"),
        (r#"{"number": 46732001122, "direction": "inbound"}"#, "number", "in quotation marks"),
        (r#"{"numbers": "+46732001122", "direction": "inbound"}"#, "numbers", "must be a sequence"),
        (
            r#"{"numbers": ["+46732001122", 46732001122], "direction": "inbound"}"#,
            "numbers[1]",
            "in quotation marks",
        ),
        (r#"{"number": "+46732001122", "direction": "sideways"}"#, "direction", "`inbound` or `outbound`"),
        (r#"{"nummer": "+46732001122", "direction": "inbound"}"#, "", "unknown field `nummer`"),
        (r#"{"46732001122": true, "direction": "inbound"}"#, "", "unknown field; known are `number`"),
        (r#"{"direction": "inbound"}"#, "", "neither number nor numbers"),
        (r#"{"number": "1", "numbers": [], "direction": "inbound"}"#, "", "both number and numbers"),
        (r#"["+46732001122"]"#, "", ""),
        ("null", "", ""),
    ] {
        let answer = check(body);
        let message = answer.error(400, "invalid_request");
        assert!(message.contains(what), "{body}: {message}");
        if !field.is_empty() {
            assert_eq!(answer.json["error"]["details"][0]["field"], field, "{body}");
        }
        assert!(!answer.json.to_string().contains("46732001122"), "{}", answer.json);
    }
    for (body, what) in [
        (json!({}), "exactly one of"),
        (json!({ "number": "+46732001122", "entries": [] }), "exactly one of"),
        (json!({ "number": "+46732001122", "directions": [] }), "directions"),
        (json!({ "number": "+46732001122", "source": "system" }), "`api`"),
        (json!({ "entries": [{ "numbr": "+46732001122" }] }), "unknown field `numbr`"),
        (json!({ "number": "+46732001122", "expires": "tomorrow" }), "RFC 3339"),
        (json!({ "number": "+46732001122", "expires": "2020-01-01T00:00:00Z" }), "past"),
        (json!({ "number": "+46732001122", "reason": "x".repeat(501) }), "500"),
    ] {
        let answer = gateway.post(ENTRIES, body.clone());
        assert!(answer.error(400, "invalid_request").contains(what), "{body}: {}", answer.json);
    }
    let many: Vec<_> = (0..10_001).map(|_| "+46732001122").collect();
    gateway.post(ENTRIES, json!({ "numbers": many })).error(400, "too_many_numbers");
    assert_eq!(gateway.get("/senders/support/status").ok()["sequence"], 0, "nothing was written");
}

#[test]
fn queries_are_checked_too() {
    let gateway = Gateway::start();
    for (query, what) in [
        ("limit=0", "1 to 10000"),
        ("limit=10001", "1 to 10000"),
        ("limit=ten", "1 to 10000"),
        ("after=46732001122", "not a cursor"),
        ("status=deleted", "active, inactive or all"),
        ("page=2", "unknown field `page`"),
    ] {
        let answer = gateway.get(&format!("{ENTRIES}?{query}"));
        assert!(answer.error(400, "invalid_request").contains(what), "{query}: {}", answer.json);
    }
}

#[test]
fn requests_without_a_valid_token_are_refused() {
    let gateway = Gateway::start();
    let send = |authorization: Option<&str>| {
        let mut request = Request::get(format!("{}/portcullis/v1/status", gateway.url()));
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        gateway.send(request.body(String::new()).unwrap())
    };
    for value in
        [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic YWNtZTphY21l"), Some("acme-secret")]
    {
        let answer = send(value);
        assert!(answer.error(401, "missing_token").contains("Authorization: Bearer"), "{value:?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    for value in ["Bearer acme-secre", "Bearer acme-secret2", "Bearer admin-secret", "Bearer sha256:00"] {
        let answer = send(Some(value));
        answer.error(401, "invalid_token");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(!answer.json.to_string().contains("secre"), "a token is not repeated");
    }
    assert_eq!(send(Some("bearer  acme-secret ")).status, 200, "the scheme is the same in small letters");
    gateway.api("GET", "/admin/tenants", ACME, None).error(401, "invalid_token");
    // Without a token nobody learns which senders exist, or whether a body is valid.
    gateway.api("POST", "/senders/nobody/check", "", Some(json!({}))).error(401, "missing_token");
}

#[test]
fn unknown_senders_paths_and_methods_have_different_errors() {
    let gateway = Gateway::start();
    let body = json!({ "number": "+46732001122", "direction": "inbound" });
    gateway.post("/senders/suport/check", body.clone()).error(404, "unknown_sender");
    gateway.get("/senders/%20/status").error(404, "unknown_sender");
    gateway.get("/senders/%FF/status").error(404, "not_found");
    for path in ["/sender/support/check", "/senders/support", "/nothing", "/senders/support/entries/1/2", ""]
    {
        gateway.post(path, body.clone()).error(404, "not_found");
    }
    gateway.call("GET", "/", "", None).error(404, "not_found");
    let answer = gateway.get(CHECK);
    answer.error(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "POST");
}

#[test]
fn a_connection_survives_a_refusal_whose_body_comes_after_the_head() {
    let gateway = Gateway::start();
    let body = r#"{"number":"+46732001122"}"#;
    for (path, token, expected) in [
        ("/portcullis/v1/senders/support/check", "wrong-secret-1", 401),
        ("/portcullis/v1/nothing", ACME, 404),
        ("/portcullis/v1/senders/support/status", ACME, 405),
        ("/nothing", ACME, 404),
    ] {
        let mut stream = connect(&gateway);
        stream.set_nodelay(true).unwrap();
        for _ in 0..50 {
            let lines = [
                format!("authorization: Bearer {token}"),
                "content-type: application/json".to_owned(),
                format!("content-length: {}", body.len()),
            ];
            stream.write_all(head("POST", path, &lines).as_bytes()).unwrap();
            std::thread::yield_now();
            stream.write_all(body.as_bytes()).unwrap();
            let answered = read_head(&mut stream);
            assert!([expected, 429].contains(&status(&answered)), "{path}: {answered}");
            if answered.contains("connection: close") {
                // Too many wrong tokens came from here.
                assert_eq!(status(&answered), 429, "{path}: {answered}");
                break;
            }
            let length = answered.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            stream.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
        }
    }
    // One whose body never comes is told that its connection ends.
    let lines = [format!("authorization: Bearer {ACME}"), "content-length: 10".to_owned()];
    let answered = answer_to_head(&gateway, &head("POST", "/nothing", &lines));
    assert_eq!(status(&answered), 404, "{answered}");
    assert!(answered.contains("connection: close"), "{answered}");
}

#[test]
fn a_body_must_be_declared_as_json() {
    let gateway = Gateway::start();
    let url = format!("{}/portcullis/v1{CHECK}", gateway.url());
    let send = |content_type: Option<&str>| {
        let mut request = Request::post(&url).header("authorization", format!("Bearer {ACME}"));
        if let Some(value) = content_type {
            request = request.header("content-type", value);
        }
        let body = r#"{"number": "+46732001122", "direction": "inbound"}"#.to_owned();
        gateway.send(request.body(body).unwrap())
    };
    for value in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"] {
        assert!(
            send(Some(value)).error(415, "unsupported_media_type").contains("application/json"),
            "{value}"
        );
    }
    for value in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(send(Some(value)).status, 200, "{value}");
    }
}

#[test]
fn a_body_of_fifty_megabytes_is_refused_and_the_gateway_goes_on() {
    let gateway = Gateway::start();
    let body = format!("{{\"number\": \"{}\"}}", "1".repeat(50 << 20));
    let answer = gateway.call("POST", &format!("/portcullis/v1{ENTRIES}"), ACME, Some(body));
    assert!(answer.error(413, "body_too_large").contains("16777216"));
    assert_eq!(gateway.verdict("+46732001122"), "allow");
}

#[test]
fn what_is_not_http_does_no_harm() {
    let gateway = Gateway::start();
    let address = gateway.url().strip_prefix("http://").unwrap();
    for garbage in [&b"\0\x01\x02\xff"[..], b"GET / HTTP/9.9\r\n\r\n", &[b'A'; 1 << 20]] {
        let mut stream = TcpStream::connect(address).unwrap();
        // The gateway may close the connection while this is being sent.
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(gateway.verdict("+46732001122"), "allow");
}
