//! Overload, and a tenant whose callback is slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::stand::{Reply, Stand};
use super::{OTHER_ID, PHONE_ID, Scene, payload, text};

const FROM: &str = "16505551234";

#[test]
fn one_tenant_s_overload_does_not_affect_others() {
    let hangs = Stand::start(|_| Reply::Hangs);
    let scene = Scene::with(Stand::good(), hangs, Stand::good(), |config| {
        config.replace(
            "callback_timeout_seconds = 1",
            "callback_timeout_seconds = 60\nmax_in_flight_per_tenant = 4",
        )
    });
    let refused = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for n in 0..8 {
            let body = payload(PHONE_ID, &[text(FROM, &format!("hangs {n}"), "x")]).to_string();
            let (scene, refused) = (&scene, Arc::clone(&refused));
            scope.spawn(move || {
                // Requests that hang end with the client's timeout.
                let request = ureq::post(format!("{}/webhooks/meta", scene.gateway.url()))
                    .config()
                    .timeout_global(Some(std::time::Duration::from_secs(3)))
                    .http_status_as_error(false)
                    .build()
                    .header("content-type", "application/json")
                    .header("x-hub-signature-256", super::signed(body.as_bytes()));
                if let Ok(answer) = request.send(body.as_str()) {
                    assert_eq!(answer.status(), 503);
                    assert_eq!(answer.headers()["retry-after"], "1");
                    refused.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        scene.callback.until(4);
        // While acme's four hang, what it sends passes, and all of globex's.
        assert_eq!(scene.send(FROM).status, 200);
        for n in 0..50 {
            let body = payload(OTHER_ID, &[text(FROM, &n.to_string(), "x")]).to_string();
            assert_eq!(scene.webhook(&body).status, 200);
        }
    });
    assert_eq!(refused.load(Ordering::SeqCst), 4);
    assert_eq!(scene.other.received().len(), 50);
    assert_eq!(scene.callback.received().len(), 4);
}

#[test]
fn messages_over_the_total_limit_are_refused() {
    let scene = Scene::with(Stand::start(|_| Reply::Hangs), Stand::good(), Stand::good(), |config| {
        config.replace("[traffic]", "[traffic]\nmax_in_flight = 1")
    });
    thread::scope(|scope| {
        let hanging = scope.spawn(|| scene.send(FROM).status);
        scene.upstream.until(1);
        let busy = scene.send("+16505551235");
        assert_eq!((busy.status, busy.header("retry-after")), (503, "1"));
        assert_eq!(hanging.join().unwrap(), 504);
    });
    scene.gateway.until("the next one passes on", |_| scene.send(FROM).status == 504);
}
