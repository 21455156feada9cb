//! Clients that disconnect before they are answered.

use super::descriptors::busy;
use super::raw::{answer_to_head, head, status};
use super::support::Gateway;

#[test]
fn an_address_that_gives_up_many_requests_is_served_after_a_moment() {
    let gateway = Gateway::start();
    // Each is in progress when its client disconnects.
    gateway.until("the log says so", |gateway| {
        (0..50).for_each(|_| drop(busy(gateway)));
        gateway.logged("an address gives up many requests before they are answered")
    });
    assert_eq!(status(&answer_to_head(&gateway, &head("GET", "/healthz", &[]))), 200);
    gateway.block("+46732001122");
    assert_eq!(gateway.verdict("+46732001122"), "block");
}
