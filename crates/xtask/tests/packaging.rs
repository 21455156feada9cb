//! Tests of what is in `packaging/`: metrics that exist, rules that Prometheus accepts, units that systemd knows, and versions that agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    let file = workspace().join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Whether a program is installed. Without it, the test that needs it prints a note and passes, unless `required` is set, as in CI.
fn has(program: &str, required: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = found.is_ok_and(|status| status.success());
    if !is_there {
        assert!(std::env::var_os(required).is_none(), "{program} is not installed");
        // Written directly, because the test harness captures the output of passing tests.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is not installed");
    }
    is_there
}

/// Names of metrics in a text: those that start with the program's or the process's prefix. Names of recording rules, which have a colon,
/// are none.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | ':');
    text.split(|c: char| !is_of_name(c))
        .filter(|word| !word.contains(':'))
        .filter(|word| word.starts_with("portcullis_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

/// The metrics of the table in docs/operating.md.
fn documented() -> BTreeSet<String> {
    let page = read("docs/operating.md");
    let rows =
        page.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|row| row.split('`').next());
    rows.flat_map(metrics).collect()
}

#[test]
fn each_metric_that_a_rule_or_the_dashboard_names_is_documented() {
    let documented = documented();
    assert!(documented.len() > 40, "{documented:?}");
    let mut unknown = Vec::new();
    for file in [
        "packaging/prometheus/alerts.yml",
        "packaging/prometheus/recording.yml",
        "packaging/prometheus/alerts.test.yml",
        "packaging/grafana/portcullis.json",
    ] {
        let named = metrics(&read(file));
        assert!(named.len() > 3, "{file}: {named:?}");
        unknown.extend(named.into_iter().filter_map(|name| {
            let parts = ["_bucket", "_count", "_sum"];
            let of_histogram = parts.iter().find_map(|part| name.strip_suffix(part));
            let known =
                documented.contains(&name) || of_histogram.is_some_and(|name| documented.contains(name));
            (!known).then(|| format!("{file}: {name}"))
        }));
    }
    assert!(unknown.is_empty(), "docs/operating.md does not have these metrics:\n{}", unknown.join("\n"));
}

#[test]
fn prometheus_accepts_the_rules_and_each_alert_fires_when_it_should() {
    let tests = read("packaging/prometheus/alerts.test.yml");
    for line in read("packaging/prometheus/alerts.yml").lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            assert!(
                tests.contains(&format!("alertname: {alert}\n")),
                "{alert} has no test in alerts.test.yml"
            );
        }
    }
    if !has("promtool", "PORTCULLIS_REQUIRE_PROMTOOL") {
        return;
    }
    for arguments in
        [&["check", "rules", "recording.yml", "alerts.yml"][..], &["test", "rules", "alerts.test.yml"]]
    {
        let run = Command::new("promtool")
            .args(arguments)
            .current_dir(workspace().join("packaging/prometheus"))
            .output()
            .unwrap();
        let said =
            [run.stdout, run.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(run.status.success(), "promtool {}:\n{said}", arguments.join(" "));
    }
}

#[test]
fn the_dashboard_has_panels_that_do_not_overlap_and_read_the_chosen_data_source() {
    let dashboard: Value = serde_json::from_str(&read("packaging/grafana/portcullis.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 20);
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeMap::new());
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is another's");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(x + w <= 24, "{title} is wider than the page");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            if let Some(other) = taken.insert(place, title) {
                panic!("{title} covers {other}");
            }
        }
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title}");
        }
    }
}

/// The settings of a unit by section and name, in the order of the file.
fn unit(name: &str) -> BTreeMap<(String, String), Vec<String>> {
    let mut section = String::new();
    let mut settings: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in read(&format!("packaging/systemd/{name}")).lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut section);
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{line}"));
        settings.entry((section.clone(), name.to_owned())).or_default().push(value.to_owned());
    }
    settings
}

#[test]
fn the_unit_lets_the_gateway_do_what_it_needs_and_little_else() {
    let unit = unit("portcullis.service");
    let of = |name: &str| {
        let values = unit.get(&("Service".to_owned(), name.to_owned()));
        values.map(|values| values.join(" ")).unwrap_or_else(|| panic!("the unit has no {name}="))
    };
    assert_eq!(of("Type"), "notify");
    assert!(of("ExecReload").contains("kill -HUP $MAINPID"));
    for name in ["NoNewPrivileges", "PrivateTmp", "PrivateDevices", "LockPersonality", "RestrictNamespaces"] {
        assert_eq!(of(name), "yes", "{name}");
    }
    assert_eq!(
        (&*of("ProtectSystem"), &*of("CapabilityBoundingSet"), &*of("KillMode")),
        ("strict", "", "mixed")
    );
    // By default 5 seconds until balancers have noticed, and 40 for what is in progress.
    assert!(of("TimeoutStopSec").parse::<u64>().unwrap() > 45);
    let calls = of("SystemCallFilter");
    for call in ["landlock_create_ruleset", "landlock_restrict_self", "seccomp"] {
        assert!(calls.contains(call), "a process that compiles plugins can't lock itself in without {call}");
    }
    // With either, no plugin is compiled, or no limit of memory is known.
    for absent in ["MemoryDenyWriteExecute", "ProcSubset"] {
        assert!(!unit.contains_key(&("Service".to_owned(), absent.to_owned())), "{absent}");
    }
}

#[test]
fn the_socket_s_address_is_that_of_the_configuration() {
    let socket = unit("portcullis.socket");
    let address = &socket[&("Socket".to_owned(), "ListenStream".to_owned())][0];
    let config: toml::Table = read("packaging/config/portcullis.toml").parse().unwrap();
    assert_eq!(config["server"]["listen"].as_str(), Some(&**address));
}

#[test]
fn systemd_knows_all_settings_of_the_units() {
    if !has("systemd-analyze", "PORTCULLIS_REQUIRE_SYSTEMD") {
        return;
    }
    let folder = workspace().join("target/packaging-units");
    fs::create_dir_all(&folder).unwrap();
    for name in ["portcullis.service", "portcullis.socket"] {
        // The program is not installed where it will be.
        let text = read(&format!("packaging/systemd/{name}")).replace("/usr/bin/portcullis", "/bin/true");
        fs::write(folder.join(name), text).unwrap();
    }
    let run = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "portcullis.service", "portcullis.socket"])
        .current_dir(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("portcullis")).collect();
    assert!(ours.is_empty(), "{}", ours.join("\n"));
}

/// The table `[package.metadata.deb]` of the gateway.
fn debian() -> toml::Table {
    let manifest: toml::Table = read("crates/gateway/Cargo.toml").parse().unwrap();
    manifest["package"]["metadata"]["deb"].as_table().unwrap().clone()
}

#[test]
fn what_the_debian_package_takes_from_here_is_here() {
    let debian = debian();
    let gateway = workspace().join("crates/gateway");
    let mut installed = BTreeSet::new();
    for asset in debian["assets"].as_array().unwrap() {
        let asset: Vec<&str> = asset.as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
        let [source, target, _] = asset[..] else { panic!("{asset:?}") };
        installed.insert(format!("/{target}"));
        // Made by `cargo xtask dist`.
        if source.starts_with("target/release/") || source.contains("packaging/dist/") {
            continue;
        }
        let folder = source.rsplit_once("/*").map_or(source, |(folder, _)| folder);
        assert!(gateway.join(folder).exists(), "{source}");
    }
    for file in debian["conf-files"].as_array().unwrap() {
        assert!(installed.contains(file.as_str().unwrap()), "{file} is not installed");
    }
}

#[test]
fn all_packages_have_the_version_of_the_workspace() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let version = manifest["workspace"]["package"]["version"].as_str().unwrap().to_owned();
    let revision = debian()["revision"].as_str().unwrap().to_owned();
    let changelog = read("packaging/debian/changelog");
    assert!(
        changelog.starts_with(&format!("portcullis ({version}-{revision}) ")),
        "packaging/debian/changelog"
    );
    let chart = read("packaging/helm/portcullis/Chart.yaml");
    assert!(chart.contains(&format!("\nappVersion: \"{version}\"\n")), "Chart.yaml");
}
