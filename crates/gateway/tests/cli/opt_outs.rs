//! Opt-outs, typed and imported: their hold and date, and that nobody else is blocked.

use serde_json::{Value, json};

use crate::gateway::Gateway;

/// The holds of the only entry of a list.
fn holds(gateway: &Gateway, sender: &str) -> Vec<Value> {
    let json = gateway.command(&format!("list --sender {sender} --status all --format json")).good().out;
    let entries: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(entries.len(), 1, "{json}");
    entries[0]["holds"].as_array().unwrap().clone()
}

#[test]
fn an_imported_opt_out_survives_a_plain_unblock() {
    let gateway = Gateway::start();
    for (options, source) in
        [("--hold opt-out", "import"), ("--source OPT_OUT", "opt_out"), ("--hold optout", "import")]
    {
        gateway.command(&format!("import - --sender support {options}")).input("+46731000001\n").good();
        let [hold] = &holds(&gateway, "support")[..] else { panic!("one hold") };
        assert_eq!((&hold["kind"], &hold["source"]), (&json!("opt_out"), &json!(source)));
        let unblock =
            |hold: &str| gateway.command(&format!("unblock +46731000001 --sender support {hold}")).good().out;
        assert_eq!(unblock(""), "+46731000001\theld\n");
        assert_eq!(unblock("--hold opt_out"), "+46731000001\tremoved\n");
    }
}

#[test]
fn a_block_sets_the_hold_of_its_options() {
    let gateway = Gateway::start();
    for (sender, options, kind, source) in [
        ("support", "", "operator", "manual"),
        ("sales", "--hold opt-out", "opt_out", "manual"),
        ("support", "--source opt-out", "opt_out", "opt_out"),
        ("support", "--source opt_out --hold marketing", "marketing", "opt_out"),
        ("sales", "--source api", "operator", "api"),
    ] {
        gateway.command(&format!("block +46731000001 --sender {sender} {options}")).good();
        let holds = holds(&gateway, sender);
        let made = holds.iter().find(|hold| hold["kind"] == kind).unwrap_or_else(|| panic!("{options}"));
        assert_eq!(made["source"], source, "{options}");
    }
    for options in ["--hold all", "--hold customer", "--source facebook"] {
        let run = gateway.command(&format!("block +46731000001 --sender support {options}")).ends(2);
        assert!(run.err.contains("possible values"), "{}", run.err);
    }
}

#[test]
fn a_file_that_seems_to_contain_opt_outs_needs_a_hold() {
    let gateway = Gateway::start();
    for (name, text) in [
        ("opt-outs.csv", "number\n+46731000001\n"),
        ("stop.txt", "+46731000001\n"),
        ("export.csv", "Phone Number,UNSUB_TIME\n+46731000001,\n"),
        ("export.ndjson", "{\"phone\":\"+46731000001\",\"unsubscribed_at\":null}\n"),
    ] {
        let file = gateway.write(name, text);
        let run = gateway.command(&format!("import {file} --sender support")).ends(2);
        assert!(run.err.contains("--hold opt-out") && run.err.contains("--hold operator"), "{}", run.err);
        assert_eq!(gateway.listed("--sender support"), [""; 0], "nothing was sent");
        gateway.command(&format!("import {file} --sender support --hold operator")).good();
        gateway.command(&format!("import {file} --sender support --unblock")).good();
        assert_eq!(gateway.listed("--sender support"), [""; 0]);
    }
}

#[test]
fn a_row_sets_its_hold_and_is_refused_if_that_is_unknown() {
    let gateway = Gateway::start();
    let text = "number,hold,source\n\
                +46731000001,opt-out,\n\
                +46731000002,,facebook\n\
                +46731000003,customer,\n\
                +46731000004,Operator,OPT_OUT\n";
    let run = gateway.command("import - --sender support --hold marketing").input(text).ends(1);
    let lines: Vec<&str> = run.err.lines().collect();
    assert!(
        lines[0].starts_with("line 3: the field `source` must be one of api, manual, import, opt_out"),
        "{}",
        run.err
    );
    assert!(
        lines[1].starts_with("line 4: the field `hold` must be one of operator, opt_out, marketing"),
        "{}",
        run.err
    );
    assert!(lines[0].contains("--ignore-column source"), "{}", run.err);
    assert!(!run.err.contains("facebook") && !run.err.contains("4673"), "{}", run.err);
    assert_eq!(run.last_words(), "4 rows: 2 added, 0 already there, 2 refused");

    let ignore = "--ignore-column source --ignore-column hold";
    gateway.command(&format!("import - --sender sales --hold opt-out {ignore}")).input(text).good();
    let csv = gateway.command("list --sender sales --format csv").good().out;
    assert_eq!(csv.lines().filter(|line| line.contains(",opt_out,")).count(), 4, "{csv}");
}

#[test]
fn subscribers_are_not_blocked() {
    let gateway = Gateway::start();
    let text = "number,status\n\
                +46731000001,subscribed\n\
                +46731000002,opt-in\n\
                +46731000003,unsubscribed\n";
    for hold in ["", "--hold operator", "--hold opt-out"] {
        let run = gateway.command(&format!("import - --sender support {hold}")).input(text).ends(1);
        assert!(
            run.err.starts_with("line 2: the status says that the person opted in\nline 3: "),
            "{}",
            run.err
        );
        assert_eq!(gateway.listed("--sender support"), ["+46731000003"], "{hold}");
        gateway.command(&format!("unblock +46731000003 --sender support {hold}")).good();
    }
    let ignore = "import - --sender support --ignore-column status";
    gateway.command(ignore).input(text).good();
    assert_eq!(gateway.listed("--sender support").len(), 3);
    gateway.command("import - --sender support --unblock").input(text).good();
    assert_eq!(gateway.listed("--sender support"), [""; 0]);
}

#[test]
fn numbers_written_as_floats_are_read() {
    let gateway = Gateway::start();
    for (name, text) in [
        (
            "a.csv",
            "Phone;Name\r\n46731000001.0;A\r\n46731000002,00;B\r\n=\"46731000003\";C\r\n'46731000004;D\r\n",
        ),
        ("b.txt", "46731000001.0\n+46731000002,0\n46731000003.00\n46731000004\n"),
        (
            "c.ndjson",
            "{\"phone\":46731000001.0}\n{\"phone\":\"46731000002.0\"}\n{\"phone\":46731000003}\n{\"phone\":\"'46731000004\"}\n",
        ),
    ] {
        let file = gateway.write(name, text);
        gateway.command(&format!("import {file} --sender support")).good();
        let numbers = ["+46731000001", "+46731000002", "+46731000003", "+46731000004"];
        assert_eq!(gateway.listed("--sender support"), numbers, "{name}");
        gateway.command(&format!("import {file} --sender support --unblock")).good();
        assert_eq!(gateway.listed("--sender support"), [""; 0], "{name}");
    }
}

#[test]
fn a_number_that_may_have_lost_digits_is_refused() {
    let gateway = Gateway::start();
    for (name, text) in [
        ("a.csv", "phone\n4.6732E+10\n46731000001.5\n46731000.000\n=A1\n"),
        ("b.csv", "phone;name\n4,6732E+10;A\n46731000001,5;B\n46731000,000;C\n=A1;D\n"),
        ("c.txt", "4.6732E+10\n46731000001.5\n46731000.000\n=A1\n"),
        (
            "d.ndjson",
            "{\"phone\":4.6732E+10}\n{\"phone\":46731000001.5}\n{\"phone\":\"46731000.000\"}\n{\"phone\":\"=A1\"}\n",
        ),
    ] {
        let file = gateway.write(name, text);
        let run = gateway.command(&format!("import {file} --sender support")).ends(1);
        for (line, reason) in
            run.err.lines().zip(["scientific notation", "decimal fraction", "dot or comma", "formula"])
        {
            assert!(line.contains(reason), "{name}: {}", run.err);
        }
        assert_eq!(run.last_words(), "4 rows: 0 added, 0 already there, 4 refused", "{name}");
        assert!(!run.err.contains("4673") && !run.err.contains("6732"), "{}", run.err);
    }
    assert_eq!(gateway.listed("--sender support"), [""; 0]);
}

#[test]
fn excels_sep_line_and_vendors_headers_are_recognized() {
    let gateway = Gateway::start();
    for text in [
        "\u{feff}sep=;\r\nName;Mobile Phone\r\n\"A, B\";+46731000001\r\n",
        "Email Address,First Name,Phone Number,MEMBER_RATING\na@example.com,A,+46731000001,2\n",
        "Contact information,Sender,Channel\n+46731000001,ACME,SMS\n",
        "EMAIL;SMS\na@example.com;46731000001\n",
    ] {
        gateway.command("import - --sender support --format csv --hold operator").input(text).good();
        assert_eq!(gateway.listed("--sender support"), ["+46731000001"]);
        gateway.command("unblock +46731000001 --sender support").good();
    }
    let messages = "From,To,Body\n+46731000001,+46700000001,STOP\n";
    let run = gateway.command("import - --sender support").input(messages).ends(2);
    assert!(run.err.contains("--column from"), "{}", run.err);
    assert!(!run.err.contains("467"), "{}", run.err);
    gateway.command("import - --sender support --column from").input(messages).good();
    assert_eq!(gateway.listed("--sender support"), ["+46731000001"]);
}

#[test]
fn a_row_with_an_invalid_date_is_refused_and_its_column_named() {
    let gateway = Gateway::start();
    let text = "phone,opted_out_at\n\
                +46731000001,03/04/2024\n\
                +46731000002,2999-01-01\n\
                +46731000003,1970-01-01\n\
                +46731000004,\n";
    let run = gateway.command("import - --sender support --hold opt-out").input(text).ends(1);
    for (line, reason) in run.err.lines().zip(["--date-format", "in the future", "before 1990"]) {
        assert!(line.contains(reason) && line.contains("`opted_out_at`"), "{}", run.err);
    }
    assert_eq!(gateway.listed("--sender support"), ["+46731000004"]);
    let ignore = "--ignore-column opted_out_at";
    gateway.command(&format!("import - --sender support --hold opt-out {ignore}")).input(text).good();
    assert_eq!(gateway.listed("--sender support").len(), 4);
    for options in ["--date-format %H:%M", "--date-offset CET"] {
        gateway.command(&format!("import - --sender support {options}")).input(text).ends(2);
    }
}

#[test]
fn people_who_did_not_opt_out_are_not_blocked() {
    let gateway = Gateway::start();
    let text = "phone,opted_out\n+46731000001,Yes\n+46731000002,No\n+46731000003,\n";
    let run = gateway.command("import - --sender support --hold opt-out").input(text).ends(1);
    assert_eq!(run.last_words(), "3 rows: 1 added, 0 already there, 2 refused");
    assert_eq!(gateway.listed("--sender support"), ["+46731000001"]);
}

#[test]
fn an_import_lifts_opt_outs_only_if_they_are_named() {
    let gateway = Gateway::start();
    let text = "number,hold\n+46731000001,opt_out\n+46731000002,operator\n";
    gateway.command("import - --sender support").input(text).good();
    let run = gateway.command("import - --sender support --unblock").input(text).ends(1);
    assert!(run.err.contains("line 2: the row is about the hold opt_out"), "{}", run.err);
    assert_eq!(gateway.listed("--sender support"), ["+46731000001"]);
    let run =
        gateway.command("import - --sender support --unblock --hold opt-out").input("+46731000001\n").good();
    assert_eq!(run.last_words(), "1 row: 1 removed, 0 not there, 0 refused");
    gateway.command("import - --sender support --unblock --source opt-out").input("+46731000001\n").ends(2);
}

#[test]
fn an_opt_out_keeps_its_date() {
    for (name, text, options) in [
        ("a.csv", "Phone Number,UNSUB_TIME\n+46731000001,2024-03-31 12:00:00\n", ""),
        ("b.csv", "phone,created\n+46731000001,2024-03-31T14:00:00+02:00\n", ""),
        ("c.csv", "phone,created_at,opted_out_at\n+46731000001,2020-01-01,1711886400\n", ""),
        ("d.ndjson", "{\"phone\":\"+46731000001\",\"opted_out_at\":1711886400000}\n", ""),
        (
            "e.csv",
            "phone,Left\n+46731000001,31/03/2024T14:00\n",
            "--date-column left --date-format %d/%m/%YT%H:%M --date-offset +02:00",
        ),
        ("f.csv", "phone,left\n+46731000001,2024-03-31 06:00\n", "--date-column left --date-offset -06:00"),
    ] {
        let gateway = Gateway::start();
        let file = gateway.write(name, text);
        gateway.command(&format!("import {file} --sender support --hold opt-out {options}")).good();
        let [hold] = &holds(&gateway, "support")[..] else { panic!("one hold") };
        assert_eq!(hold["requested"], "2024-03-31T12:00:00.000Z", "{name}");
    }
}

#[test]
fn the_date_of_a_record_is_ignored_for_blocks_of_the_business() {
    let gateway = Gateway::start();
    gateway.command("import - --sender support").input("phone,created\n+46731000001,03/04/2024\n").good();
    let [hold] = &holds(&gateway, "support")[..] else { panic!("one hold") };
    assert_eq!(hold["requested"], hold["since"]);
}

#[test]
fn an_older_opt_out_changes_nothing_and_is_counted() {
    let gateway = Gateway::start();
    let opt_outs =
        |text: &str| gateway.command("import - --sender support --hold opt-out").input(text).good();
    opt_outs("number,requested\n+46731000001,2024-03-31T12:00:00Z\n");
    let opted_in = "number,requested\n+46731000001,2024-04-01T12:00:00Z\n";
    gateway.command("import - --sender support --unblock --hold opt-out").input(opted_in).good();
    let run =
        opt_outs("number,requested\n+46731000001,2024-03-31T18:00:00Z\n+46731000002,2024-03-31T18:00:00Z\n");
    assert_eq!(
        run.last_words(),
        "2 rows: 1 added, 0 already there, 1 older than what is on record, 0 refused"
    );
    assert_eq!(gateway.listed("--sender support"), ["+46731000002"]);
}
