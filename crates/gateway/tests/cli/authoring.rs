//! A plugin's way from a template to a gateway.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_plugin_bundle::{EVIL, EXACT, TRIVIAL};

use crate::gateway::{BINARY, Gateway, command};

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
admin_token = "admin-secret"
[storage]
url = "sqlite://portcullis.db"
[plugins]
dir = "plugins"
[[tenants]]
id = "acme"
plugin = "mine"
tokens = ["acme-secret"]
[[tenants.senders]]
id = "support"
"#;

/// A plugin with another digest.
fn noted(component: &[u8], note: &str) -> Vec<u8> {
    let section = [&[4], &b"note"[..], note.as_bytes()].concat();
    [component, &[0, u8::try_from(section.len()).unwrap()], &section].concat()
}

#[test]
fn a_plugin_is_pushed_listed_and_removed() {
    let gateway = Gateway::with(CONFIG);
    let admin = |arguments: &str| gateway.command(arguments).env("PORTCULLIS_ADMIN_TOKEN", "admin-secret");
    let mut versions = Vec::new();
    for note in ["one", "two"] {
        let file = gateway.write("mine.wasm", noted(EXACT.component, note));
        let pushed = admin("plugin push").arg(&file).good();
        assert!(pushed.err.contains("offered to the tenant that has it"), "{}", pushed.err);
        assert!(pushed.err.contains("the plugin mine calls itself exact"), "{}", pushed.err);
        versions.push(pushed.out.trim().rsplit(' ').next().unwrap().to_owned());
    }
    let status = admin("plugin reload --tenant acme").good().out;
    assert!(status.starts_with("mine 0.1.0"), "{status}");

    let listed = admin("plugin list").good().out;
    assert!(listed.contains("mine: tenants: acme\n  note: the plugin mine calls itself exact"), "{listed}");
    assert!(listed.contains("exact: no tenant has it"), "{listed}");
    assert!(
        listed.lines().any(|line| line.contains(&versions[1][..19]) && line.ends_with("newest")),
        "{listed}"
    );
    let json: serde_json::Value = serde_json::from_str(&admin("plugin list --json").good().out).unwrap();
    assert!(json["plugins"].as_array().is_some_and(|plugins| plugins.len() >= 3), "{json}");

    let newest = admin(&format!("plugin remove mine {}", versions[1])).ends(2);
    assert!(newest.err.contains("it is the newest"), "{}", newest.err);
    // It is kept ready for a rollback.
    admin("plugin reload --tenant acme --plugin exact").good();
    admin("plugin reload --tenant acme --plugin exact").good();
    let removed = admin(&format!("plugin remove mine {}", versions[0])).good();
    assert!(removed.err.contains("removed mine sha256:"), "{}", removed.err);
    let gone = admin(&format!("plugin remove mine {}", versions[0])).ends(2);
    assert!(gone.err.contains("has no version"), "{}", gone.err);
    let unknown = admin("plugin remove nobody 0123456789").ends(2);
    assert!(unknown.err.contains("there is no plugin nobody"), "{}", unknown.err);

    let file = gateway.write("evil.wasm", &EVIL.component[..1000]);
    let refused = admin("plugin push").arg(&file).ends(2);
    assert!(refused.err.contains("damaged or truncated"), "{}", refused.err);
}

#[test]
fn a_plugin_that_failed_says_why_in_its_status() {
    let gateway = Gateway::with(
        &CONFIG.replace("plugin = \"mine\"", "plugin = \"evil\"\nplugin_options = { mode = \"panic\" }"),
    );
    fs::create_dir_all(gateway.file("plugins")).unwrap();
    let admin = |arguments: &str| gateway.command(arguments).env("PORTCULLIS_ADMIN_TOKEN", "admin-secret");
    let file = gateway.write("evil.wasm", EVIL.component);
    admin("plugin push").arg(&file).good();
    let reloaded = admin("plugin reload --tenant acme").run();
    let status = admin("plugin status --tenant acme").good().out;
    for told in ["the plugin trapped in check", "plugins/evil/src/lib.rs:", "on purpose"] {
        assert!(status.contains(told), "{status}{}", reloaded.err);
    }
    let verified = command("plugin verify").arg("--options").arg(r#"{"mode":"panic"}"#).arg(&file).ends(1);
    assert!(verified.out.contains("on purpose"), "{}", verified.out);
}

#[test]
fn a_file_is_verified_and_inspected_without_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let exact = path("exact.wasm", EXACT.component);
    let good = command("plugin verify --bench").arg(&exact).good().out;
    for told in [
        "contract      portcullis:blacklist@0.1.0",
        "plugin        exact 0.1.0, hashed numbers",
        "  a check, ns",
    ] {
        assert!(good.contains(told), "{told}: {good}");
    }
    assert!(good.ends_with("good: it fits, and does what its contract says\n"), "{good}");

    let limited = command("plugin verify --limit functions=3").arg(&exact).ends(1).out;
    assert!(
        limited.contains("wrong: it has") && limited.contains("functions, and 3 are allowed"),
        "{limited}"
    );
    assert!(limited.contains("[plugins.limits.exact] functions = "), "{limited}");
    let unknown = command("plugin verify --limit function=3").arg(&exact).ends(2);
    assert!(unknown.err.contains("there is no limit function; known are component_bytes"), "{}", unknown.err);

    let evil = path("evil.wasm", EVIL.component);
    let json =
        command("plugin verify --json").arg("--options").arg(r#"{"mode":"miscount"}"#).arg(&evil).ends(1).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["problems"][0].as_str().is_some_and(|problem| problem.contains("count said 0")), "{json}");
    let nothing = command("plugin verify /nowhere.wasm").ends(2);
    assert!(nothing.err.contains("can't read /nowhere.wasm"), "{}", nothing.err);

    let inspected = command("plugin inspect").arg(&exact).good().out;
    for told in ["exports interface portcullis:blacklist/blacklist@0.1.0", "imports nothing", " of code"] {
        assert!(inspected.contains(told), "{told}: {inspected}");
    }
    let noise = path("noise.wasm", b"noise");
    command("plugin inspect --json").arg(&noise).ends(1);
    let trivial = path("trivial.wasm", TRIVIAL.component);
    let refused = command("plugin component --output x.wasm").arg(&trivial).ends(2);
    assert!(refused.err.contains("it is a component already"), "{}", refused.err);
}

/// A template in a folder that is kept between runs, with what it has downloaded and compiled.
fn template(language: &str) -> PathBuf {
    let outer = Path::new(env!("CARGO_TARGET_TMPDIR")).join("templates");
    let folder = outer.join(format!("my-{language}"));
    let kept = outer.join(format!("kept-{language}"));
    fs::create_dir_all(&outer).unwrap();
    for name in ["target", "node_modules"] {
        if folder.join(name).exists() {
            fs::create_dir_all(&kept).unwrap();
            let _ = fs::remove_dir_all(kept.join(name));
            fs::rename(folder.join(name), kept.join(name)).unwrap();
        }
    }
    let _ = fs::remove_dir_all(&folder);
    let created = command(&format!("plugin new --lang {language} my-{language} --into"))
        .arg(folder.to_str().unwrap())
        .good();
    assert!(created.err.contains("README.md there has the commands"), "{}", created.err);
    for name in ["target", "node_modules"] {
        if kept.join(name).exists() {
            fs::rename(kept.join(name), folder.join(name)).unwrap();
        }
    }
    folder
}

/// The commands of a template's README, but for those that install tools.
fn commands(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("README.md")).unwrap();
    let block = text.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let installs = |line: &&str| !["rustup", "sudo"].iter().any(|tool| line.starts_with(tool));
    block.lines().filter(installs).map(str::to_owned).collect()
}

fn run(folder: &Path, line: &str) -> Result<(), String> {
    let path =
        format!("{}:{}", Path::new(BINARY).parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", line]).current_dir(folder).env("PATH", path);
    // Settings of this test's build must not affect the plugin's.
    for name in ["CARGO_BUILD_TARGET", "CARGO_TARGET_DIR", "RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER"] {
        shell.env_remove(name);
    }
    let output = shell.output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{line}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

fn skip(why: &str) {
    // Written directly, because the test harness captures the output of passing tests.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

#[test]
fn the_template_in_rust_is_built_and_verified_as_its_readme_says() {
    let folder = template("rust");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    // The SDK of this workspace, and the versions that are downloaded already.
    let sdk = workspace.join("crates/plugin-sdk").display().to_string();
    let outer = folder.parent().unwrap().join(".cargo");
    fs::create_dir_all(&outer).unwrap();
    let config = format!("net.offline = true\npatch.crates-io.portcullis-plugin-sdk.path = {sdk:?}\n");
    fs::write(outer.join("config.toml"), config).unwrap();
    fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    // The folder is inside this workspace but not a member of it.
    fs::write(folder.join("Cargo.toml"), manifest + "\n[workspace]\n").unwrap();
    let commands = commands(&folder);
    assert_eq!(commands.len(), 4);
    for line in &commands {
        run(&folder, line).unwrap();
    }

    // Its author looks for a mistake.
    let edit = |file: &str, from: &str, to: &str| {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(folder.join(file), text.replace(from, to)).unwrap();
    };
    edit("Cargo.toml", "= \"0.1\"\n", "= { version = \"0.1\", features = [\"log\"] }\n");
    let count = "self.entries.len() as u64";
    let logs = format!("portcullis_plugin_sdk::log!(\"{{}} of them\", self.entries.len());\n        {count}");
    edit("src/lib.rs", count, &logs);
    let verified = |rebuilt: &[String]| {
        rebuilt.iter().for_each(|line| run(&folder, line).unwrap());
        command("plugin verify").arg(folder.join("my-rust.wasm").to_str().unwrap()).ends(1).out
    };
    let [_, build, copy, _] = &commands[..] else { panic!("{commands:?}") };
    let build = [build.clone(), copy.clone()];
    let logged = verified(&build);
    assert!(logged.contains("\nlog: 0 of them\n") || logged.contains("lines before these\n"), "{logged}");
    let only = logged.lines().filter(|line| line.starts_with("wrong: ")).collect::<Vec<_>>();
    assert!(only.len() == 1 && only[0].contains("without the SDK's feature `log`"), "{logged}");

    let gateway = Gateway::with(CONFIG);
    fs::create_dir_all(gateway.file("plugins")).unwrap();
    let push = gateway.command("plugin push").env("PORTCULLIS_ADMIN_TOKEN", "admin-secret");
    let refused = push.arg(folder.join("my-rust.wasm").to_str().unwrap()).ends(2);
    assert!(refused.err.contains("portcullis:debug/log@0.1.0"), "{}", refused.err);

    edit("Cargo.toml", ", features = [\"log\"]", "");
    edit("src/lib.rs", count, &format!("assert!(self.entries.len() < 3, \"no fourth\");\n        {count}"));
    let panics = verified(&build);
    for told in ["panicked at src/lib.rs:", "no fourth", " (in "] {
        assert!(panics.contains(told), "{told}: {panics}");
    }
    assert!(!panics.contains("log: "), "{panics}");
}

#[test]
fn the_template_in_c_is_built_and_verified_as_its_readme_says() {
    let can_compile = "printf 'int x;' >x.c && clang --target=wasm32-wasi -mexec-model=reactor -o x.wasm x.c && make --version";
    let scratch = tempfile::tempdir().unwrap();
    if let Err(why) = run(scratch.path(), can_compile) {
        assert!(std::env::var_os("PORTCULLIS_REQUIRE_CLANG").is_none(), "{why}");
        return skip("the template in C: clang, wasi-libc and make are not installed");
    }
    let folder = template("c");
    let commands = commands(&folder);
    assert_eq!(commands, ["make", "make test"]);
    for line in commands {
        run(&folder, &line).unwrap();
    }
}

#[test]
fn the_template_in_javascript_is_built_and_verified_as_its_readme_says() {
    let folder = template("js");
    let commands = commands(&folder);
    assert_eq!(commands, ["npm install", "npm run build", "npm test"]);
    if let Err(why) = run(&folder, "npm install --no-audit --no-fund --loglevel=error") {
        assert!(std::env::var_os("PORTCULLIS_REQUIRE_CLIENTS").is_none(), "{why}");
        return skip("the template in JavaScript: npm is not installed, or its registry can't be reached");
    }
    for line in &commands[1..] {
        run(&folder, line).unwrap();
    }
}
