//! `export`, and importing what it wrote.

use std::os::unix::fs::PermissionsExt;

use crate::gateway::Gateway;

const TIMES: &str = "2099-01-01T00:00:00Z";

/// A gateway whose support list has entries of every kind.
fn filled() -> Gateway {
    let gateway = Gateway::start();
    gateway.command("block +46731000001 --sender support").good();
    gateway.command("block +46731000002 --sender support --direction outbound --expires").arg(TIMES).good();
    gateway
        .command("block +46731000003 --sender support --direction inbound --reason")
        .arg("wrote \"stop, now\"\nand left; =1+1")
        .good();
    gateway.command("import - --sender support").input("number,source\n+46731000004,opt_out\n").good();
    gateway.command("block +46731000005 --sender support").good();
    gateway.command("unblock +46731000005 --sender support").good();
    gateway
}

/// What an export must preserve, sorted.
fn essence(gateway: &Gateway, sender: &str) -> Vec<serde_json::Value> {
    let json = gateway.command(&format!("list --sender {sender} --format json")).good().out;
    let mut entries: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    for entry in &mut entries {
        let fields = entry.as_object_mut().unwrap();
        fields.retain(|name, _| ["number", "directions", "reason", "source", "expires"].contains(&&**name));
    }
    entries.sort_by_key(|entry| entry["number"].to_string());
    entries
}

#[test]
fn an_export_imported_elsewhere_is_the_same_list() {
    let from = filled();
    let expected = essence(&from, "support");
    assert_eq!(expected.len(), 4);
    for name in ["support.csv", "support.ndjson"] {
        let to = Gateway::start();
        let file = to.file(name);
        let file = file.to_str().unwrap();
        from.command(&format!("export --sender support --output {file}")).good();
        to.command(&format!("import {file} --sender sales")).good();
        assert_eq!(essence(&to, "sales"), expected, "{name}");
    }
}

#[test]
fn an_export_can_be_piped_into_an_import() {
    let gateway = filled();
    for format in ["csv", "ndjson"] {
        let text = gateway.command(&format!("export --sender support --format {format}")).good().out;
        gateway.command("import - --sender sales").input(text).good();
        assert_eq!(essence(&gateway, "sales"), essence(&gateway, "support"));
    }
}

#[test]
fn a_plain_export_says_what_it_leaves_out() {
    let gateway = filled();
    let run = gateway.command("export --sender support --format plain").good();
    assert_eq!(run.out.lines().count(), 4);
    assert!(run.err.contains("2 entries cover one direction"), "{}", run.err);
}

#[test]
fn only_the_owner_can_read_the_file() {
    let gateway = filled();
    let file = gateway.write("support.csv", "old");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let run = gateway.command(&format!("export --sender support --output {file}")).good();
    assert_eq!((run.out.as_str(), run.err.as_str()), ("", ""));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 5 + 1);
}

#[test]
fn a_failed_export_leaves_the_file_as_it_was() {
    let mut gateway = filled();
    let file = gateway.write("support.csv", "old");
    let before = std::fs::read_dir(gateway.file(".")).unwrap().count();
    gateway.kill();
    gateway.command(&format!("export --sender support --output {file}")).ends(2);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(std::fs::read_dir(gateway.file(".")).unwrap().count(), before);
}

#[test]
fn each_hold_is_a_row_and_is_restored() {
    let gateway = Gateway::start();
    let rows = "number,directions,source,reason,hold\n\
        +46731000001,inbound,manual,rude,\n\
        +46731000001,outbound,opt_out,wrote STOP,\n\
        +46731000002,outbound,opt_out,,marketing\n\
        user:US.13491208655302741918,both,manual,,\n";
    gateway.command("import - --sender support --format csv").input(rows).good();
    assert_eq!(gateway.listed("--sender support").len(), 2, "a marketing hold blocks nothing by itself");
    let exported = |gateway: &Gateway, sender: &str| {
        let all = gateway.command(&format!("export --sender {sender}")).good().out;
        // Number, directions, source, reason, expiry, hold.
        let columns = |line: &str| line.split(',').take(6).collect::<Vec<_>>().join(",");
        let mut lines: Vec<String> = all.lines().skip(1).map(columns).collect();
        lines.sort();
        lines
    };
    assert_eq!(
        exported(&gateway, "support"),
        [
            "+46731000001,inbound,manual,rude,,operator",
            "+46731000001,outbound,opt_out,wrote STOP,,opt_out",
            "+46731000002,outbound,opt_out,,,marketing",
            "user:US.13491208655302741918,both,manual,,,operator",
        ]
    );
    for format in ["csv", "ndjson"] {
        let all = gateway.command(&format!("export --sender support --format {format}")).good().out;
        // A new gateway for each format: holds lifted in the meantime would be newer than those of the file.
        let to = Gateway::start();
        to.command(&format!("import - --sender sales --format {format}")).input(all).good();
        assert_eq!(exported(&to, "sales"), exported(&gateway, "support"), "{format}");
    }
}

/// Holds of every kind, direction, source and expiry, of numbers and of user ids.
const HOLDS: &str = "number,directions,hold,source,reason,expires\n\
    +46731000001,inbound,operator,manual,rude,\n\
    +46731000001,outbound,opt_out,opt_out,\" wrote \"\"STOP\"\",\nand left; =1+1\",\n\
    +46731000001,both,marketing,import,,2099-01-01T00:00:00Z\n\
    +46731000002,outbound,marketing,opt_out,,\n\
    +46 73-100 00 03,both,opt_out,api,,2099-06-01T12:00:00.123Z\n\
    user:US.13491208655302741918,both,opt_out,import,,\n\
    \"user:a,b\"\"c\",inbound,operator,manual,,\n";

/// The rows of a CSV file of holds, without the author and times of the entry.
fn rows(csv: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let own = ["actor", "created", "updated", "deactivated", "id"];
    let kept: Vec<bool> = reader.headers().unwrap().iter().map(|name| !own.contains(&name)).collect();
    let mut rows: Vec<Vec<String>> = reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            record.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(field, _)| field.to_owned()).collect()
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn an_export_of_an_import_of_an_export_is_the_same() {
    let from = Gateway::start();
    from.command("import - --sender support --format csv").input(HOLDS).good();
    let csv = from.command("export --sender support").good().out;
    assert_eq!(
        rows(&csv).len(),
        HOLDS.matches('\n').count() - 2,
        "a row for each hold, without the header: {csv}"
    );
    let ndjson = from.command("export --sender support --format ndjson").good().out;
    let listed = from.command("list --sender support --format csv").good().out;
    assert_eq!(rows(&listed), rows(&csv));
    for (format, text) in [("csv", &csv), ("ndjson", &ndjson), ("csv", &listed)] {
        let to = Gateway::start();
        to.command(&format!("import - --sender sales --format {format}")).input(text).good();
        assert_eq!(rows(&to.command("export --sender sales").good().out), rows(&csv), "{format}");
        // Importing it again changes nothing.
        let run = to.command(&format!("import - --sender sales --format {format}")).input(text).good();
        assert!(run.last_words().contains(": 0 added, 7 already there"), "{}", run.err);
    }
}

#[test]
fn a_csv_list_has_a_row_for_each_hold() {
    let gateway = Gateway::start();
    gateway.command("import - --sender support --format csv").input(HOLDS).good();
    gateway.command("unblock +46731000001 --sender support --hold opt-out").good();
    let list = |status: &str| {
        let csv =
            gateway.command(&format!("list --sender support --format csv --status {status}")).good().out;
        rows(&csv)
    };
    assert_eq!((list("active").len(), list("inactive").len(), list("all").len()), (6, 1, 7));
    let lifted = &list("inactive")[0];
    assert_eq!(
        (lifted[0].as_str(), lifted[1].as_str(), lifted[5].as_str()),
        ("+46731000001", "none", "opt_out")
    );
}

#[test]
fn a_withdrawn_opt_out_is_exported() {
    let from = Gateway::start();
    from.command("block +46731000001 +46731000002 --sender support --hold opt-out").good();
    from.command("unblock +46731000001 --sender support --hold opt-out").good();
    let default = from.command("export --sender support").good().out;
    assert_eq!(rows(&default).len(), 1);
    for format in ["csv", "ndjson"] {
        let all = from.command(&format!("export --sender support --lifted --format {format}")).good().out;
        let to = Gateway::start();
        let import = |text: &str| {
            to.command(&format!("import - --sender sales --format {format}"))
                .input(text)
                .good()
                .last_words()
                .to_owned()
        };
        assert_eq!(import(&all), "2 rows: 1 added, 0 already there, 1 taken back, 0 refused");
        assert_eq!(to.listed("--sender sales"), ["+46731000002"]);
        let older = "number,hold,requested\n+46731000001,opt_out,2024-03-31T12:00:00Z\n";
        let run = to.command("import - --sender sales").input(older).good();
        assert_eq!(
            run.last_words(),
            "1 row: 0 added, 0 already there, 1 older than what is on record, 0 refused"
        );
        assert_eq!(to.listed("--sender sales"), ["+46731000002"]);
        // Everything is preserved except the source of a lifted hold.
        let essence = |csv: &str| {
            let mut rows = rows(csv);
            rows.iter_mut().filter(|row| row[1] == "none").for_each(|row| row[2].clear());
            rows
        };
        let again = to.command("export --sender sales --lifted").good().out;
        let first = from.command("export --sender support --lifted").good().out;
        assert_eq!(essence(&again), essence(&first));
    }
    from.command("export --sender support --lifted --format plain").ends(2);
}
