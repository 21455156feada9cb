//! `check`, `block`, `unblock` and `list`.

use crate::gateway::{Gateway, Run, command};

#[test]
fn a_number_is_blocked_until_it_is_unblocked() {
    let gateway = Gateway::start();
    let check = || gateway.command("check +46731000001 --sender support --direction inbound");
    assert_eq!(check().good().out, "+46731000001\tallow\n");
    assert_eq!(gateway.command("block +46731000001 --sender support").good().out, "+46731000001\tadded\n");
    assert_eq!(check().ends(1).out, "+46731000001\tblock\n");
    assert_eq!(gateway.command("block +46731000001 --sender support").good().out, "+46731000001\talready\n");
    assert_eq!(gateway.listed("--sender support"), ["+46731000001"]);
    assert_eq!(gateway.listed("--sender sales"), [""; 0]);
    assert_eq!(
        gateway.command("unblock +46731000001 --sender support").good().out,
        "+46731000001\tremoved\n"
    );
    assert_eq!(check().good().out, "+46731000001\tallow\n");
    assert_eq!(gateway.listed("--sender support"), [""; 0]);
}

#[test]
fn a_check_prints_each_number_as_it_was_written() {
    let gateway = Gateway::start();
    gateway.command("block +46731000002 --sender support").good();
    let run = gateway
        .command("check +46731000001 - 0046731000002 --sender support --direction outbound")
        .input("# from a file\r\n073-100 00 02\n\n46731000003")
        .ends(1);
    assert_eq!(
        run.out,
        "+46731000001\tallow\n073-100 00 02\tblock\n46731000003\tallow\n0046731000002\tblock\n"
    );
    assert_eq!(run.err, "");
}

#[test]
fn a_quiet_check_answers_by_its_exit_code() {
    let gateway = Gateway::start();
    gateway.command("block +46731000002 --sender support").good();
    let check = |number| gateway.command(&format!("check -q {number} -s support -d inbound"));
    assert_eq!(check("+46731000001").good().out, "");
    assert_eq!(check("+46731000002").ends(1).out, "");
}

#[test]
fn one_direction_is_blocked_and_the_other_is_not() {
    let gateway = Gateway::start();
    gateway.command("block +46731000001 --sender support --direction outbound").good();
    gateway.command("check +46731000001 --sender support --direction inbound").good();
    gateway.command("check +46731000001 --sender support --direction outbound").ends(1);
    assert_eq!(gateway.command("block +46731000001 --sender support").good().out, "+46731000001\twidened\n");
    assert_eq!(
        gateway.command("unblock +46731000001 --sender support --direction outbound").good().out,
        "+46731000001\tnarrowed\n"
    );
    gateway.command("check +46731000001 --sender support --direction inbound").ends(1);
    gateway.command("check +46731000001 --sender support --direction outbound").good();
}

#[test]
fn the_tenant_wide_list_applies_to_every_sender() {
    let gateway = Gateway::start();
    gateway.command("block +46731000001 --tenant-wide").good();
    gateway.command("block +46731000002 --sender sales").good();
    gateway.command("check +46731000001 --sender support --direction inbound").ends(1);
    gateway.command("check +46731000001 --tenant-wide --direction inbound").ends(1);
    gateway.command("check +46731000002 --tenant-wide --direction inbound").good();
    assert_eq!(gateway.listed("--tenant-wide"), ["+46731000001"]);
    assert_eq!(gateway.listed("--sender support"), [""; 0]);
}

#[test]
fn a_list_can_be_read_by_programs() {
    let gateway = Gateway::start();
    let expires = "2099-12-31T00:00:00Z";
    gateway
        .command("block +46731000001 --sender support --direction inbound --expires")
        .arg(expires)
        .arg("--reason")
        .arg("said \"no\", twice")
        .good();
    gateway.command("block +46731000002 --sender support").good();
    gateway.command("unblock +46731000002 --sender support").good();

    let json = gateway.command("list --sender support --format json --status all").good().out;
    let mut entries: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    entries.sort_by_key(|entry| entry["number"].to_string());
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["number"], "+46731000001");
    assert_eq!(entries[0]["directions"], serde_json::json!(["inbound"]));
    assert_eq!(entries[0]["reason"], "said \"no\", twice");
    assert_eq!(entries[0]["source"], "manual");
    assert_eq!(entries[1]["status"], "inactive");

    let inactive = gateway.command("list --sender support --status inactive").good().out;
    assert_eq!(inactive, "+46731000002\n");

    let csv = gateway.command("list --sender support --format csv").good().out;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let column = |name| csv.lines().next().unwrap().split(',').position(|column| column == name).unwrap();
    let record = reader.records().next().unwrap().unwrap();
    assert_eq!(&record[column("number")], "+46731000001");
    assert_eq!(&record[column("directions")], "inbound");
    assert_eq!(&record[column("reason")], "said \"no\", twice");
    assert!(record[column("expires")].starts_with("2099-12-31T00:00:00"));

    let empty = gateway.command("list --sender sales --format json").good().out;
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&empty).unwrap().len(), 0);
}

#[test]
fn one_invalid_number_refuses_all_and_is_named_by_its_position() {
    let gateway = Gateway::start();
    for what in ["block", "unblock"] {
        let run = gateway
            .command(&format!("{what} +46731000001 46731000002x - --sender support"))
            .input("+46731000003\nnobody-46731000004\n")
            .ends(2);
        assert_eq!(run.out, "");
        assert!(run.err.contains("number 2: ") && run.err.contains("line 2: "), "{}", run.err);
        assert!(!run.err.contains("4673"), "{}", run.err);
    }
    let run = gateway.command("check +46731000001 x --sender support --direction inbound").ends(2);
    assert_eq!(run.out, "");
    assert!(run.err.contains("number 2: "), "{}", run.err);
    assert_eq!(gateway.listed("--sender support"), [""; 0]);
}

#[test]
fn many_pages_are_read_without_gaps_or_repetitions() {
    let gateway = Gateway::start();
    let numbers: Vec<String> = (0..5_000).map(|index| format!("+4673100{index:04}")).collect();
    gateway.command("import - --sender support").input(numbers.join("\n")).good();
    assert_eq!(gateway.listed("--sender support"), numbers);
}

#[test]
fn a_closed_pipe_ends_the_list_without_an_error() {
    let gateway = Gateway::start();
    // Far more than fits into a pipe.
    let numbers: Vec<String> = (0..20_000).map(|index| format!("+4673{index:07}")).collect();
    gateway.command("import - --sender support").input(numbers.join("\n")).good();
    let (mut child, _stdin) = gateway.command("list --sender support").spawn();
    drop(child.stdout.take());
    let run = Run::of(child);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
}

#[test]
fn a_new_token_is_printed_with_its_digest() {
    let make = || command("token new").good().out;
    let (one, other) = (make(), make());
    assert_ne!(one, other);
    let lines: Vec<&str> = one.lines().collect();
    assert!(lines[0].len() >= 40 && lines[1].starts_with("sha256:") && lines.len() == 2, "{one}");
}

#[test]
fn an_opt_out_is_lifted_only_if_it_is_named() {
    let gateway = Gateway::start();
    let rows = "number,source\n+46731000001,opt_out\n";
    gateway.command("import - --sender support --format csv").input(rows).good();
    let unblock =
        |hold: &str| gateway.command(&format!("unblock +46731000001 --sender support {hold}")).good().out;
    assert_eq!(unblock(""), "+46731000001\theld\n");
    assert_eq!(unblock("--hold opt-out"), "+46731000001\tremoved\n");
    assert_eq!(unblock("--hold all"), "+46731000001\tabsent\n");
}

#[test]
fn the_history_shows_who_changed_what_and_why() {
    let gateway = Gateway::start();
    gateway.command("block +46731000001 --sender support --reason").arg("rude").good();
    gateway.command("block +46731000002 --sender support").good();
    gateway.command("unblock +46731000001 --sender support --direction inbound").good();
    let history = |arguments: &str| {
        let all = gateway.command(&format!("history {arguments} --sender support")).good().out;
        // The time and the token's name differ each time.
        let told = |line: &str| {
            let columns: Vec<&str> = line.split('\t').collect();
            assert!(columns[0].ends_with('Z') && columns[4].ends_with(" 127.0.0.1 native"), "{line}");
            [columns[1], columns[2], columns[3], columns[5]].join(" ")
        };
        all.lines().map(told).collect::<Vec<_>>()
    };
    let first = "+46731000001 added both rude";
    assert_eq!(history(""), ["+46731000001 narrowed outbound ", "+46731000002 added both ", first]);
    assert_eq!(history("+46731000001"), ["+46731000001 narrowed outbound ", first]);
    assert_eq!(history("--limit 1"), ["+46731000001 narrowed outbound "]);
    let json = gateway.command("history --sender support --format ndjson --limit 1").good().out;
    let record: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(record["before"]["directions"], serde_json::json!(["inbound", "outbound"]));
    let unknown = gateway.command("history +46731000009 --sender support").ends(2);
    assert!(unknown.err.contains("no such entry"), "{}", unknown.err);
}
