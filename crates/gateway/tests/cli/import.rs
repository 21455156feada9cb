//! `import`.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};

use crate::gateway::Gateway;

#[test]
fn a_plain_file_with_invalid_lines() {
    let gateway = Gateway::start();
    let long = "1".repeat(70_000);
    let file = gateway.write(
        "numbers.txt",
        format!("\u{feff}# opted out\r\n+46731000001\r\n\n0046 73-100 00 02\nnobody\n{long}\n+46731000001\n+999 1\n"),
    );
    let run = gateway.command("import --sender support").arg(&file).ends(1);
    assert_eq!(run.out, "");
    let lines: Vec<&str> = run.err.lines().collect();
    assert_eq!(lines.len(), 4, "{}", run.err);
    assert!(lines[0].starts_with("line 5: "), "{}", run.err);
    assert!(lines[1].starts_with("line 6: the line has more than"), "{}", run.err);
    assert!(lines[2].starts_with("line 8: "), "{}", run.err);
    assert_eq!(lines[3], "6 rows: 2 added, 1 already there, 3 refused");
    assert!(!run.err.contains("4673"), "{}", run.err);
    assert_eq!(gateway.listed("--sender support"), ["+46731000001", "+46731000002"]);
}

#[test]
fn csv_with_various_columns() {
    let gateway = Gateway::start();
    let file = gateway.write(
        "crm.csv",
        "Name;Phone Number;Reason;Directions;Expires\r\n\
         \"A;B\";+46731000001;\"wrote\r\n\"\"stop\"\"\";outbound;\r\n\
         C;073-100 00 02;;;2099-01-01T00:00:00Z\r\n\
         D;;x;;\r\n\
         E;+46731000003;;sideways;\r\n\
         F;+46731000004;;;2001-01-01T00:00:00Z\r\n\
         \"G;+46731000005;;;\r\n",
    );
    let run = gateway.command("import --sender support --reason default").arg(&file).ends(1);
    let places: Vec<&str> = run.err.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(places[..4], ["line 5", "line 6", "line 7", "line 8"], "{}", run.err);
    assert_eq!(run.last_words(), "6 rows: 2 added, 0 already there, 4 refused");
    assert!(!run.err.contains("731"), "{}", run.err);

    let json = gateway.command("list --sender support --format json").good().out;
    let mut entries: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    entries.sort_by_key(|entry| entry["number"].to_string());
    assert_eq!(entries[0]["directions"], serde_json::json!(["outbound"]));
    assert_eq!(entries[0]["reason"], "wrote\n\"stop\"");
    assert_eq!(entries[0]["source"], "import");
    assert_eq!(entries[1]["directions"], serde_json::json!(["inbound", "outbound"]));
    assert_eq!(entries[1]["reason"], "default");
    assert!(entries[1]["expires"].as_str().unwrap().starts_with("2099-01-01"));
}

#[test]
fn ndjson_from_standard_input() {
    let gateway = Gateway::start();
    let run = gateway
        .command("import - --tenant-wide")
        .input(
            "{\"number\":\"+46731000001\"}\n{\"number\":46731000002,\"directions\":[\"inbound\"]}\n{\"number\":true}\n\
             {\"number\":\"+46731000003\"\n",
        )
        .ends(1);
    assert!(run.err.contains("line 3: ") && run.err.contains("line 4: "), "{}", run.err);
    assert_eq!(run.last_words(), "4 rows: 2 added, 0 already there, 2 refused");
    assert_eq!(gateway.listed("--tenant-wide"), ["+46731000001", "+46731000002"]);
    gateway.command("check +46731000002 --sender support --direction outbound").good();
    gateway.command("check +46731000002 --sender support --direction inbound").ends(1);
}

#[test]
fn the_column_can_be_named() {
    let gateway = Gateway::start();
    let file = gateway.write("crm.csv", "to,Cell no\n+46731000001,+46731000002\n");
    gateway.command(&format!("import {file} --sender support --column")).arg("cell no").good();
    assert_eq!(gateway.listed("--sender support"), ["+46731000002"]);
}

#[test]
fn a_dry_run_finds_the_bad_rows_and_changes_nothing() {
    let gateway = Gateway::start();
    gateway.command("block +46731000009 --sender support").good();
    for unblock in ["", "--unblock"] {
        let run = gateway
            .command(&format!("import - --sender support --dry-run {unblock}"))
            .input("+46731000001\nnobody\n+46731000009\n")
            .ends(1);
        assert!(run.err.starts_with("line 2: "), "{}", run.err);
        assert_eq!(run.last_words(), "3 rows: 2 valid, 1 refused; dry run, nothing was changed");
        assert_eq!(gateway.listed("--sender support"), ["+46731000009"]);
    }
}

#[test]
fn an_import_can_unblock() {
    let gateway = Gateway::start();
    gateway.command("import - --sender support").input("+46731000001\n+46731000002\n+46731000003\n").good();
    let run = gateway
        .command("import - --sender support --unblock")
        .input("number,directions\n+46731000001,\n+46731000002,inbound\n+46731000004,outbound\n")
        .good();
    assert_eq!(run.last_words(), "3 rows: 2 removed, 1 not there, 0 refused");
    assert_eq!(gateway.listed("--sender support"), ["+46731000002", "+46731000003"]);
    gateway.command("check +46731000002 --sender support --direction inbound").good();
    gateway.command("check +46731000002 --sender support --direction outbound").ends(1);
}

#[test]
fn of_two_rows_for_one_number_the_later_wins_regardless_of_distance() {
    let gateway = Gateway::start();
    let mut csv = String::from("number,reason\n");
    for index in 0..40 {
        csv.push_str(&format!("+46731000001,reason {index}\n+4673200{index:04},\n"));
    }
    gateway.command("import - --sender support --batch 2").input(csv).good();
    let json = gateway.command("list --sender support --format json").good().out;
    let entries: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let entry = entries.iter().find(|entry| entry["number"] == "+46731000001").unwrap();
    assert_eq!(entry["reason"], "reason 39");
}

#[test]
fn an_import_continues_from_a_line() {
    let gateway = Gateway::start();
    for (name, text) in [
        ("a.txt", "+46731000001\n# comment\n+46731000002\n+46731000003\n"),
        ("a.csv", "number\n\"+46731000001\"\n+46731000002\n+46731000003\n"),
    ] {
        let file = gateway.write(name, text);
        let run = gateway.command(&format!("import {file} --sender support --from-line 3")).good();
        assert!(run.last_words().starts_with("2 rows: "), "{}", run.err);
        assert_eq!(gateway.listed("--sender support"), ["+46731000002", "+46731000003"]);
    }
}

#[test]
fn other_files_are_refused_before_anything_is_sent() {
    let gateway = Gateway::start();
    for (name, bytes, expected) in [
        ("a.xlsx", &b"PK\x03\x04\x14\0"[..], "CSV"),
        ("a.csv", b"\xff\xfen\0u\0m\0", "UTF-8"),
        ("b.csv", b"name,city\nA,B\n", "--column"),
        ("c.csv", b"+46731000001,A\n", "add a header"),
        ("a.json", b"[{\"number\":\"+46731000001\"}]", "jq"),
    ] {
        let file = gateway.write(name, bytes);
        let run = gateway.command(&format!("import {file} --sender support")).ends(2);
        assert!(run.err.contains(expected) && run.err.contains(name), "{}", run.err);
        assert!(!run.err.contains("4673"), "{}", run.err);
    }
    let run = gateway.command("import /nowhere/a.csv --sender support").ends(2);
    assert!(run.err.contains("opening /nowhere/a.csv"), "{}", run.err);
    assert_eq!(gateway.listed("--sender support"), [""; 0]);
}

#[test]
fn fifty_thousand_numbers_from_standard_input() {
    let gateway = Gateway::start();
    let random = RandomState::new();
    let numbers: BTreeSet<String> =
        (0..50_000).map(|index| format!("+4673{:08}", random.hash_one(index) % 100_000_000)).collect();
    // The set is sorted, but the file is not.
    let mut shuffled: Vec<&str> = numbers.iter().map(String::as_str).collect();
    shuffled.sort_by_key(|number| random.hash_one(number));
    let run = gateway.command("import - --sender support").input(shuffled.join("\n")).good();
    let count = numbers.len();
    assert_eq!(run.last_words(), format!("{count} rows: {count} added, 0 already there, 0 refused"));
    assert!(gateway.listed("--sender support").iter().eq(&numbers), "not what was imported");
    let run = gateway.command("import - --sender support").input(shuffled.join("\r\n")).good();
    assert_eq!(run.last_words(), format!("{count} rows: 0 added, {count} already there, 0 refused"));
}

#[test]
fn numbers_that_are_too_short_are_refused_by_line() {
    let gateway = Gateway::start();
    let texts = ["44", "0043", "1", "12", "+1"];
    let run = gateway.command("import - --tenant-wide").input(texts.join("\n")).ends(1);
    for (line, said) in (1..).zip(run.err.lines().take(texts.len())) {
        assert!(said.starts_with(&format!("line {line}: ")) && said.contains("too short"), "{}", run.err);
    }
    assert_eq!(run.last_words(), "5 rows: 0 added, 0 already there, 5 refused");
}
