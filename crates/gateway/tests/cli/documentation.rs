//! Runs the examples in README and docs as they are written.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::gateway::{BINARY, Gateway, TOKEN, command};

const README: &str = include_str!("../../../../README.md");
const CONFIGURATION: &str = include_str!("../../../../docs/configuration.md");
const IMPORTING: &str = include_str!("../../../../docs/importing.md");
const OPERATING: &str = include_str!("../../../../docs/operating.md");
const PASSING: &str = include_str!("../../../../docs/passing.md");
const PLUGINS: &str = include_str!("../../../../docs/plugins.md");
const VENDORS: &str = include_str!("../../../../docs/vendors.md");

/// The fenced blocks of a page, each with its info string.
///
/// Blocks of `sh` are run, blocks of `toml` are read as configurations, and blocks with a file name are written to that file.
/// Blocks of `text` are not tested.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

/// The only block with this info string.
fn block<'a>(page: &'a str, fence: &str) -> &'a str {
    let found: Vec<&str> =
        blocks(page).into_iter().filter(|(kind, _)| *kind == fence).map(|(_, text)| text).collect();
    let [text] = found[..] else { panic!("{} blocks of {fence}", found.len()) };
    text
}

/// Runs a block of `sh` in the gateway's folder, and returns its standard output and standard error.
#[track_caller]
fn run(gateway: &Gateway, token: &str, text: &str) -> String {
    let path =
        format!("{}:{}", Path::new(BINARY).parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-e", "-c", text])
        .current_dir(gateway.file("."))
        .env("PATH", path)
        .env("PORTCULLIS_URL", gateway.url())
        .env("PORTCULLIS_TOKEN", token)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(output.status.success(), "{text}{said}");
    said
}

/// Whether curl is installed. Without it, tests that need it print a note and pass, except in CI.
fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").stdout(Stdio::null()).status();
    let is_there = found.is_ok_and(|status| status.success());
    if !is_there {
        assert!(std::env::var_os("PORTCULLIS_REQUIRE_CLIENTS").is_none(), "curl is not installed");
        // Written directly, because the test harness captures the output of passing tests.
        let _ = writeln!(std::io::stderr(), "SKIPPED: curl is not installed");
    }
    is_there
}

/// The configuration of a page, listening on any free port.
fn listening_anywhere(config: &str) -> String {
    assert!(config.contains("127.0.0.1:8480"), "{config}");
    config.replace("127.0.0.1:8480", "127.0.0.1:0")
}

#[test]
fn the_examples_in_docs_importing_work() {
    let gateway = Gateway::start();
    let mut said = String::new();
    let mut commands = 0;
    for (kind, text) in blocks(IMPORTING) {
        if let Some(file) = kind.strip_prefix("csv ") {
            gateway.write(file, text);
            continue;
        }
        assert_eq!(kind, "sh");
        said += &run(&gateway, TOKEN, text);
        commands += text.matches("portcullis ").count();
    }
    assert!(commands >= 8, "{commands}");
    for expected in [
        "line 4: the number is in scientific notation",
        "3 rows: 2 added, 0 already there, 1 refused",
        "+46732001122\tblock\n+46732001123\tblock\n",
        "+46732001122\theld\n",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn the_first_example_of_the_readme_works_with_the_demo() {
    if !has_curl() {
        return;
    }
    // The configuration that `cargo xtask run` writes.
    let demo = include_str!("../../../xtask/src/demo.rs");
    let (_, demo) = demo.split_once("r#\"").unwrap();
    let (config, _) = demo.split_once("\"#").unwrap();
    let gateway = Gateway::with(&config.replace("{listen}", "127.0.0.1:0"));
    let curl = blocks(README)
        .into_iter()
        .find(|(kind, text)| *kind == "sh" && text.contains("/portcullis/v1/"))
        .unwrap()
        .1;
    let curl = curl.replace("http://127.0.0.1:8480", gateway.url());
    let said = run(&gateway, "", &curl);
    assert!(said.contains(r#""verdict":"block""#), "{said}");
}

#[test]
fn the_examples_in_docs_operating_work() {
    if !has_curl() {
        return;
    }
    let gateway = Gateway::with(&listening_anywhere(block(OPERATING, "toml portcullis.toml")));
    let said: Vec<String> = blocks(OPERATING)
        .into_iter()
        .filter(|(kind, _)| *kind == "sh")
        .map(|(_, text)| run(&gateway, TOKEN, text))
        .collect();
    let [command_line, curl, plugin] = &said[..] else { panic!("{said:?}") };
    assert!(command_line.contains("+46732001122\tblock\n"), "{command_line}");
    assert!(gateway.file("backup.csv").exists());
    assert!(curl.contains(r#""checked":2"#), "{curl}");
    for expected in ["stage: watching", "serves again", "stage: shadowing"] {
        assert!(plugin.contains(expected), "{expected}: {plugin}");
    }
    let kinds: BTreeSet<&str> = blocks(OPERATING).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, BTreeSet::from(["sh", "text", "toml portcullis.toml"]));
}

#[test]
fn the_examples_in_docs_vendors_work() {
    if !has_curl() {
        return;
    }
    let gateway = Gateway::with(&listening_anywhere(block(VENDORS, "toml portcullis.toml")));
    // Each command fails if the vendor's API refuses it.
    run(&gateway, "acme-secret", block(VENDORS, "sh"));
    assert_eq!(gateway.listed("--sender support"), ["+46732001122"]);
}

#[test]
fn the_examples_in_docs_passing_work() {
    if !has_curl() {
        return;
    }
    let base = "[server]\nlisten = \"127.0.0.1:0\"\n[storage]\nurl = \"sqlite://portcullis.db\"\n";
    let configurations: Vec<&str> =
        blocks(PASSING).into_iter().filter(|(kind, _)| *kind == "toml").map(|(_, text)| text).collect();
    let [forwarding, _next_hops, _edges] = configurations[..] else { panic!("{configurations:?}") };
    for config in configurations {
        Gateway::with(&format!("{base}{config}"));
    }
    let gateway = Gateway::with(&format!("{base}{forwarding}"));
    let said = run(&gateway, "acme-secret", block(PASSING, "sh"));
    assert!(said.contains(r#""verdict":"allow""#), "{said}");
}

#[test]
fn the_rules_in_docs_plugins_decide_as_documented() {
    let options =
        blocks(PLUGINS).into_iter().find(|(_, text)| text.contains("plugin = \"prefix\"")).unwrap().1;
    let gateway = Gateway::with(&format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[storage]\nurl = \"sqlite://portcullis.db\"\n\
         [[tenants]]\nid = \"acme\"\ntokens = [\"acme-secret\"]\n{options}\n[[tenants.senders]]\nid = \"support\"\n"
    ));
    let numbers = ["+41715212345", "+41715209999", "+41215601234", "+412156012345", "+46732001122"];
    let check = |direction: &str| {
        let run = gateway
            .command(&format!("check --sender support --direction {direction} {}", numbers.join(" ")))
            .run();
        assert_ne!(run.code, Some(2), "{}", run.err);
        let blocked = run.out.lines().filter_map(|line| line.strip_suffix("\tblock").map(str::to_owned));
        blocked.collect::<Vec<_>>()
    };
    assert_eq!(check("inbound"), ["+41715212345", "+41215601234"]);
    assert_eq!(check("outbound"), [""; 0]);
}

/// The settings in a section of the page.
fn documented(section: &str) -> BTreeSet<&'static str> {
    let (_, rest) =
        CONFIGURATION.split_once(&format!("# `{section}`\n")).unwrap_or_else(|| panic!("{section}"));
    let table = rest.split("\n#").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.split('`').nth(1).unwrap()).collect()
}

/// The settings that the gateway knows in a table, as listed in its error about an unknown one.
fn known(before: &str, table: &str) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, format!("{before}\n{table}\nno_such_setting = 1\n")).unwrap();
    let refused = command("serve").arg("--config").arg(file.to_str().unwrap()).ends(2);
    let (_, known) = refused.err.split_once("`no_such_setting`").unwrap_or_else(|| panic!("{}", refused.err));
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn docs_configuration_has_exactly_the_known_settings() {
    let tenant = "[[tenants]]\nid = \"acme\"";
    let ninety_nine = "[dialects.ninety_nine]";
    let sections = [
        ("[server]", "", "[server]"),
        ("[server.tls]", "", "[server.tls]"),
        ("[limits]", "", "[limits]"),
        ("[storage]", "", "[storage]"),
        ("[fleet]", "", "[fleet]"),
        ("[plugins]", "", "[plugins]"),
        ("[[tenants]]", "", "[[tenants]]"),
        ("[[tenants.rules]]", tenant, "[[tenants.rules]]"),
        ("[tenants.templates]", tenant, "[tenants.templates]"),
        ("[tenants.rate_limit]", tenant, "[tenants.rate_limit]"),
        ("[tenants.dialects]", tenant, "[tenants.dialects]"),
        ("[tenants.opt_out]", tenant, "[tenants.opt_out]"),
        ("[tenants.events]", tenant, "[tenants.events]"),
        ("[tenants.next_hops]", tenant, "[tenants.next_hops]"),
        ("[[tenants.senders]]", tenant, "[[tenants.senders]]"),
        ("[meta]", "", "[meta]"),
        ("[telemetry]", "", "[telemetry]"),
        ("[traffic]", "", "[traffic]"),
        ("[dialects]", "", "[dialects]"),
        (ninety_nine, "", ninety_nine),
        ("[dialects.ninety_nine.block_reasons]", "", "[dialects.ninety_nine.block_reasons]"),
    ];
    for (section, before, table) in sections {
        assert_eq!(
            documented(section),
            known(before, table).iter().map(String::as_str).collect(),
            "{section}"
        );
    }
    let tables: BTreeSet<&str> = sections.iter().map(|(section, ..)| *section).collect();
    let headings = CONFIGURATION.lines().filter_map(|line| line.strip_prefix("#")?.split('`').nth(1));
    assert_eq!(headings.collect::<BTreeSet<_>>(), tables);
}

#[test]
fn the_file_in_docs_configuration_is_accepted() {
    Gateway::with(&listening_anywhere(block(CONFIGURATION, "toml portcullis.toml")));
}

/// A range on the page, such as `1 to 64` or `at least 1,048,576`.
fn limits(range: &str) -> Option<(u64, Option<u64>)> {
    let number = |text: &str| text.split(' ').next()?.replace(',', "").parse().ok();
    if let Some(least) = range.strip_prefix("at least ") {
        return Some((number(least)?, None));
    }
    let (least, most) = range.split_once(" to ")?;
    Some((number(least)?, Some(number(most)?)))
}

#[test]
fn the_ranges_and_defaults_in_docs_configuration_match_the_gateway() {
    let serve = |config: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portcullis.toml");
        std::fs::write(&file, config).unwrap();
        command("serve").arg("--config").arg(file.to_str().unwrap()).ends(2).err
    };
    let (mut tried, mut defaults) = (0, 0);
    for section in
        ["[limits]", "[plugins]", "[traffic]", "[dialects]", "[meta]", "[[tenants]]", "[tenants.rate_limit]"]
    {
        let (_, rest) = CONFIGURATION.split_once(&format!("# `{section}`\n")).unwrap();
        for row in rest.split("\n#").next().unwrap().lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let (name, kind, range) = (cells[1].trim_matches('`'), cells[2], cells[3]);
            let Some((least, most)) = limits(range).filter(|_| kind.starts_with("integer")) else { continue };
            let before = if section.starts_with("[tenants.") { "[[tenants]]\nid = \"acme\"\n" } else { "" };
            let more = if name == "burst" { "\nper_second = 1" } else { "" };
            let id = if section == "[[tenants]]" { "\nid = \"acme\"" } else { "" };
            // The listening address is invalid, so that an otherwise valid configuration has only that error.
            let of = |value: u64| {
                serve(&format!(
                    "[server]\nlisten = \"nowhere\"\n[storage]\nurl = \"sqlite://p.db\"\n{before}{section}\n{name} = {value}{id}{more}\n"
                ))
            };
            let blames = |said: &str| said.lines().any(|line| !line.contains("server.listen"));
            for good in [Some(least), most].into_iter().flatten() {
                let said = of(good);
                assert!(!blames(&said), "{section} {name} = {good}: {said}");
            }
            for bad in [least.checked_sub(1), most.map(|most| most + 1)].into_iter().flatten() {
                let said = of(bad);
                assert!(blames(&said), "{section} {name} = {bad}: {said}");
                // The default that the gateway names in its error.
                if let Some((_, default)) = said.split_once("leave it out for ") {
                    let digits = |text: &str| {
                        let text = text.replace(',', "");
                        text.chars().take_while(char::is_ascii_digit).collect::<String>()
                    };
                    let default = default.split([' ', ',', ';', '\n']).next().unwrap();
                    assert_eq!(digits(default), digits(cells[4]), "{section} {name}");
                    defaults += 1;
                }
                tried += 1;
            }
        }
    }
    assert!(tried >= 20 && defaults >= 10, "{tried}, {defaults}");
}
