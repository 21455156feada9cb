//! Traces, by OTLP, to a collector that decodes them.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;
use ureq::http::Request;

use super::support::{ACME, Gateway, SERVER, TENANTS};
use super::traffic::stand::{Reply, Stand};
use super::traffic::{PHONE_ID, Scene, payload, text};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const RECIPIENT: &str = "46732001122";

/// A table for a collector that gets everything.
fn telemetry(collector: &Stand) -> String {
    format!(
        "[telemetry]\ntraces_url = \"{}/v1/traces\"\nauthorization = \"Bearer collector-secret\"\nsample_ratio = 1\n",
        collector.url()
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All spans that a collector has got, by name.
fn spans(collector: &Stand) -> BTreeMap<String, Span> {
    let mut spans = BTreeMap::new();
    for request in collector.received() {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/traces"));
        assert_eq!(request.header("authorization"), "Bearer collector-secret");
        assert!(!hex(&request.body).contains(&hex(RECIPIENT.as_bytes())), "a number is in a trace");
        let decoded = ExportTraceServiceRequest::decode(&request.body[..]).unwrap();
        let scopes = decoded.resource_spans.into_iter().flat_map(|of_resource| of_resource.scope_spans);
        spans.extend(scopes.flat_map(|scope| scope.spans).map(|span| (span.name.clone(), span)));
    }
    spans
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// Waits until a collector has spans of these names.
fn wait_for(gateway: &Gateway, collector: &Stand, names: &[&str]) -> BTreeMap<String, Span> {
    gateway.until(&format!("the spans {names:?} are exported"), |_| {
        let spans = spans(collector);
        names.iter().all(|name| spans.keys().any(|known| known.starts_with(name)))
    });
    spans(collector)
}

#[test]
fn a_send_is_a_trace_within_its_clients_and_goes_on_to_the_upstream() {
    let collector = Stand::good();
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), |config| {
        format!("{}{config}", telemetry(&collector))
    });
    let body = json!({ "messaging_product": "whatsapp", "to": RECIPIENT, "type": "text", "text": { "body": "Hello" } });
    let request = Request::post(format!("{}/v25.0/{PHONE_ID}/messages", scene.gateway.url()))
        .header("authorization", format!("Bearer {ACME}"))
        .header("content-type", "application/json")
        .header("traceparent", TRACE);
    assert_eq!(scene.gateway.send(request.body(body.to_string()).unwrap()).status, 200);
    let upstream = scene.upstream.one();
    let passed_on = upstream.header("traceparent").to_owned();

    let spans = wait_for(&scene.gateway, &collector, &["check", "upstream", "POST "]);
    let request = spans.values().find(|span| span.name.starts_with("POST ")).unwrap();
    let (check, upstream) = (&spans["check"], &spans["upstream"]);
    for span in [request, check, upstream] {
        assert_eq!(hex(&span.trace_id), TRACE_ID, "{}", span.name);
    }
    assert_eq!(hex(&request.parent_span_id), PARENT);
    assert_eq!((&check.parent_span_id, &upstream.parent_span_id), (&request.span_id, &request.span_id));
    assert_eq!(passed_on, format!("00-{TRACE_ID}-{}-01", hex(&upstream.span_id)));
    assert_eq!(attribute(request, "http.response.status_code").as_deref(), Some("200"));
    assert!(!request.name.contains(PHONE_ID), "{}", request.name);
    assert_eq!(attribute(check, "tenant").as_deref(), Some("acme"));
    assert_eq!(attribute(check, "direction").as_deref(), Some("outbound"));
    assert_eq!(attribute(upstream, "http.response.status_code").as_deref(), Some("200"));
    assert!(!scene.gateway.logged("collector-secret"));
}

#[test]
fn checks_writes_webhooks_and_exchanges_are_traced() {
    let collector = Stand::good();
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), |config| {
        format!("{}{config}", telemetry(&collector))
    });
    let gateway = &scene.gateway;
    gateway.block(&format!("+{RECIPIENT}"));
    assert_eq!(gateway.verdict(&format!("+{RECIPIENT}")), "block");
    assert_eq!(
        scene.webhook(&payload(PHONE_ID, &[text("46732001133", "wamid.1", "Hello")]).to_string()).status,
        200
    );
    gateway
        .call("POST", "/portcullis/v1/admin/tenants/acme/plugin", "admin-secret", Some("{}".to_owned()))
        .ok();
    let names = [
        "write",
        "ledger.commit",
        "plugin.update",
        "check",
        "webhook.verify",
        "webhook.partition",
        "callback",
        "exchange",
        "filling",
        "swapping",
    ];
    let spans = wait_for(gateway, &collector, &names);
    assert_eq!(spans["ledger.commit"].parent_span_id, spans["write"].span_id);
    assert_eq!(spans["swapping"].parent_span_id, spans["exchange"].span_id);
    assert_eq!(spans["webhook.partition"].trace_id, spans["callback"].trace_id);
    assert_eq!(attribute(&spans["check"], "blocked").as_deref(), Some("1"));
    assert_eq!(attribute(&spans["write"], "rows").as_deref(), Some("1"));
}

#[test]
fn a_collector_that_is_away_holds_nobody_up_and_what_no_client_samples_is_not_traced() {
    let collector = Stand::start(|_| Reply::Hangs);
    let config = format!("{}timeout_ms = 200\n{SERVER}{TENANTS}", telemetry(&collector));
    let gateway = Gateway::with(&config);
    gateway.block("+46732001122");
    assert_eq!(gateway.verdict("+46732001122"), "block");
    gateway.until_logged("spans could not be sent to the collector of traces");
    let (log, _folder) = gateway.log_after_the_end();
    assert!(!log.contains("collector-secret"), "{log}");

    let collector = Stand::good();
    let gateway = Gateway::with(&format!("{}{SERVER}{TENANTS}", telemetry(&collector)));
    let check = |traceparent: &str| {
        let request = Request::post(format!("{}/portcullis/v1/senders/support/check", gateway.url()))
            .header("authorization", format!("Bearer {ACME}"))
            .header("content-type", "application/json")
            .header("traceparent", traceparent);
        let body = json!({ "number": "+46732001122", "direction": "outbound" }).to_string();
        gateway.send(request.body(body).unwrap()).ok();
    };
    let unsampled = "00-11111111111111111111111111111111-b7ad6b7169203331-00";
    check(unsampled);
    check(TRACE);
    let spans = wait_for(&gateway, &collector, &["check"]);
    assert_eq!(hex(&spans["check"].trace_id), TRACE_ID);
}
