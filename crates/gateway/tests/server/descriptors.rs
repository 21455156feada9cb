//! Connections that use up the limit of open files.

use std::io::Write as _;
use std::net::TcpStream;

use super::raw::{answer_to_head, connect, head, read_head, status};
use super::support::{ACME, ADMIN, Gateway, SERVER, Surroundings, TENANTS};

const FEW: Surroundings = Surroundings { log: "info", open_files: Some((256, 256)) };

/// Opens a connection, and sends nothing. The gateway may have closed it already.
fn idle(gateway: &Gateway) -> TcpStream {
    TcpStream::connect(gateway.address()).unwrap()
}

/// Opens a connection with a request that stays in progress: its body never comes. Returns `None` if there is no place for it.
fn busy(gateway: &Gateway) -> Option<TcpStream> {
    let mut stream = connect(gateway);
    let lines = [
        format!("authorization: Bearer {ACME}"),
        "content-type: application/json".to_owned(),
        "content-length: 10".to_owned(),
        "expect: 100-continue".to_owned(),
    ];
    stream.write_all(head("POST", "/portcullis/v1/senders/support/check", &lines).as_bytes()).ok()?;
    (status(&read_head(&mut stream)) == 100).then_some(stream)
}

#[test]
fn idle_connections_keep_nobody_out() {
    let gateway = Gateway::within(FEW, &format!("{SERVER}{TENANTS}"));
    let connections: Vec<TcpStream> = (0..361).map(|_| idle(&gateway)).collect();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(gateway.call("GET", path, "", None).status, 200);
    }
    gateway.get("/status").ok();
    assert_eq!(gateway.verdict("+46732001122"), "allow");
    // The requests may have come on a connection from before, while the last of the idle ones are still to be accepted.
    gateway.until("idle connections are closed", |gateway| {
        gateway.metric("portcullis_closed_connections_total", "reason=\"idle\"") >= 200
    });
    gateway.until("the low limit is logged, and what to do", |gateway| {
        gateway.logged("the limit of open files allows few connections") && gateway.logged("LimitNOFILE")
    });
    gateway.until("the full address is logged", |gateway| {
        gateway.logged("an address has as many connections as it may have")
    });
    drop(connections);
}

#[test]
fn if_all_connections_are_busy_health_checks_and_the_administrator_get_in() {
    let limits = "\n[limits]\nmax_connections = 40\nmax_connections_per_address = 1000\n";
    let gateway = Gateway::within(FEW, &format!("{SERVER}{limits}{TENANTS}"));
    let mut taken: Vec<TcpStream> = std::iter::from_fn(|| busy(&gateway)).collect();
    // Four of the forty are the reserve; one is the test's own, which is idle and makes room.
    assert_eq!(taken.len(), 36);
    let refused = loop {
        let answer = answer_to_head(&gateway, &head("GET", "/portcullis/v1/status", &[]));
        if status(&answer) != 401 {
            break answer;
        }
        // The machine is so slow that a body was given up, and there was room again.
        taken.extend(std::iter::from_fn(|| busy(&gateway)));
    };
    assert_eq!(status(&refused), 503, "{refused}");
    assert!(refused.contains("connection: close") && refused.contains("retry-after: 1"), "{refused}");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(gateway.call("GET", path, "", None).status, 200, "{path}");
    }
    gateway.api("GET", "/admin/tenants", ADMIN, None).ok();
    assert!(gateway.metrics().contains("portcullis_closed_connections_total"));
    gateway.until("it is logged", |gateway| gateway.logged("LimitNOFILE"));
    // A place that becomes free is anybody's.
    taken.clear();
    gateway.until("there is room", |gateway| gateway.get("/status").status == 200);
}

#[test]
fn an_address_that_has_its_share_leaves_the_others_alone() {
    let limits = "\n[limits]\nmax_connections = 100\nmax_connections_per_address = 8\n";
    let gateway = Gateway::within(FEW, &format!("{SERVER}{limits}{TENANTS}"));
    let taken: Vec<TcpStream> = std::iter::from_fn(|| busy(&gateway)).collect();
    assert_eq!(taken.len(), 8);
    gateway.until("it is logged", |gateway| gateway.logged("limits.max_connections_per_address"));
    let refused = answer_to_head(&gateway, &head("GET", "/healthz", &[]));
    assert_eq!(refused, "", "the connection is closed at once");
}

#[test]
fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let surroundings = Surroundings { log: "info", open_files: Some((64, 512)) };
    let gateway = Gateway::within(surroundings, &format!("{SERVER}{TENANTS}"));
    gateway.until("it is logged", |gateway| gateway.logged("open_files=512"));
}
