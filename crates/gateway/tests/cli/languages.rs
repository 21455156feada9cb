//! The templates of plugins in each language: built as their READMEs say, and exchanged under load.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::gateway::{BINARY, Gateway, command};

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
admin_token = "admin-secret"
[storage]
url = "sqlite://portcullis.db"
[plugins]
dir = "plugins"
"#;

/// A template that was built, tested and verified as its README says.
struct Built {
    folder: PathBuf,
    /// The commands of its README, but for those that install tools.
    commands: Vec<String>,
    component: Vec<u8>,
}

impl Built {
    fn component_of(folder: PathBuf, commands: Vec<String>) -> Self {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let component = fs::read(folder.join(format!("{name}.wasm"))).unwrap();
        Built { folder, commands, component }
    }
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

fn rust() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
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
        commands.iter().for_each(|line| run(&folder, line).unwrap());
        Built::component_of(folder, commands)
    })
}

/// `None` if its tools are not installed.
fn c() -> Option<&'static Built> {
    static BUILT: OnceLock<Option<Built>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let can_compile = "printf 'int x;' >x.c && clang --target=wasm32-wasi -mexec-model=reactor -o x.wasm x.c && make --version";
        let scratch = tempfile::tempdir().unwrap();
        if let Err(why) = run(scratch.path(), can_compile) {
            assert!(std::env::var_os("PORTCULLIS_REQUIRE_CLANG").is_none(), "{why}");
            skip("the template in C: clang, wasi-libc and make are not installed");
            return None;
        }
        let folder = template("c");
        let commands = commands(&folder);
        assert_eq!(commands, ["make", "make test"]);
        commands.iter().for_each(|line| run(&folder, line).unwrap());
        Some(Built::component_of(folder, commands))
    });
    built.as_ref()
}

/// `None` if its tools are not installed.
fn javascript() -> Option<&'static Built> {
    static BUILT: OnceLock<Option<Built>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let folder = template("js");
        let commands = commands(&folder);
        assert_eq!(commands, ["npm install", "npm run build", "npm test"]);
        if let Err(why) = run(&folder, "npm install --no-audit --no-fund --loglevel=error") {
            assert!(std::env::var_os("PORTCULLIS_REQUIRE_CLIENTS").is_none(), "{why}");
            skip("the template in JavaScript: npm is not installed, or its registry can't be reached");
            return None;
        }
        commands[1..].iter().for_each(|line| run(&folder, line).unwrap());
        Some(Built::component_of(folder, commands))
    });
    built.as_ref()
}

/// A template of which the line is preceded by another, built again, and what is wrong with it.
fn with_mistake(built: &Built, file: &str, line: &str, mistake: &str, build: &str) -> String {
    let Built { folder, .. } = built;
    let text = fs::read_to_string(folder.join(file)).unwrap();
    assert_eq!(text.matches(line).count(), 1, "{text}");
    fs::write(folder.join(file), text.replace(line, &format!("{mistake}\n{line}"))).unwrap();
    run(folder, build).unwrap();
    fs::write(folder.join(file), text).unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    command("plugin verify").arg(folder.join(format!("{name}.wasm")).to_str().unwrap()).ends(1).out
}

/// Those whose tools are there.
fn all() -> Vec<(&'static str, &'static Built)> {
    let all = [("rust", Some(rust())), ("c", c()), ("js", javascript())];
    all.into_iter().filter_map(|(language, built)| Some((language, built?))).collect()
}

#[test]
fn the_template_in_c_is_built_and_verified_as_its_readme_says_and_its_author_finds_a_mistake() {
    let Some(built) = c() else { return };
    let mistake = "    if (length > 2) panic(\"no fourth\");";
    let told = with_mistake(built, "list.c", "    return length;", mistake, "make");
    assert!(told.contains(": no fourth (in panic < exports_portcullis_blacklist_blacklist_count"), "{told}");
    assert!(told.contains(" dlmalloc"), "the table of bounds names functions: {told}");
}

#[test]
fn the_template_in_javascript_is_built_and_verified_as_its_readme_says_and_its_author_finds_a_mistake() {
    let Some(built) = javascript() else { return };
    let line = "    return entries.size;";
    let told = |mistake: &str| with_mistake(built, "plugin.js", line, mistake, "npm run build");
    let thrown = told("    if (entries.size > 2) throw new Error('no fourth');");
    assert!(thrown.contains("Error: no fourth at count (/plugin.js:"), "{thrown}");
    let nothing = told("    if (entries.size > 2) return;");
    assert!(nothing.contains("TypeError: count returned undefined"), "{nothing}");
}

#[test]
fn the_template_in_rust_is_built_and_verified_as_its_readme_says_and_its_author_finds_a_mistake() {
    let Built { folder, commands, .. } = rust();
    let edit = |file: &str, from: &str, to: &str| {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(folder.join(file), text.replace(from, to)).unwrap();
    };
    let [_, build, copy, _] = &commands[..] else { panic!("{commands:?}") };
    let verified = || {
        [build, copy].iter().for_each(|line| run(folder, line).unwrap());
        command("plugin verify").arg(folder.join("my-rust.wasm").to_str().unwrap()).ends(1).out
    };
    edit("Cargo.toml", "= \"0.1\"\n", "= { version = \"0.1\", features = [\"log\"] }\n");
    let count = "self.entries.len() as u64";
    let logs = format!("portcullis_plugin_sdk::log!(\"{{}} of them\", self.entries.len());\n        {count}");
    edit("src/lib.rs", count, &logs);
    let logged = verified();
    assert!(logged.contains(" of them\n") && logged.contains("\nlog: "), "{logged}");
    let wrong: Vec<&str> = logged.lines().filter(|line| line.starts_with("wrong: ")).collect();
    assert!(wrong.len() == 1 && wrong[0].contains("without the SDK's feature `log`"), "{logged}");
    // In service there is no such import.
    let gateway = Gateway::with(CONFIG);
    let push = gateway.command("plugin push").env("PORTCULLIS_ADMIN_TOKEN", "admin-secret");
    let refused = push.arg(folder.join("my-rust.wasm").to_str().unwrap()).ends(2);
    assert!(refused.err.contains("portcullis:debug/log@0.1.0"), "{}", refused.err);

    edit("Cargo.toml", ", features = [\"log\"]", "");
    edit("src/lib.rs", count, &format!("assert!(self.entries.len() < 3, \"no fourth\");\n        {count}"));
    let panics = verified();
    for told in ["panicked at src/lib.rs:", "no fourth", " (in "] {
        assert!(panics.contains(told), "{told}: {panics}");
    }
    assert!(!panics.contains("log: "), "{panics}");
}

/// Who is on each list, and who is not.
fn number(n: usize) -> String {
    format!("+4673200{n:04}")
}

const BLOCKED: usize = 50;
const ROUNDS: usize = 3;

#[test]
fn plugins_in_several_languages_are_exchanged_while_messages_are_checked() {
    let plugins = all();
    let tenant = |(language, _): &(&str, _)| {
        format!(
            "[[tenants]]\nid = \"{language}\"\ntokens = [\"{language}-secret\"]\nplugin = \"exact\"\n\
             [[tenants.senders]]\nid = \"support\"\n"
        )
    };
    let gateway = Gateway::with(&(CONFIG.to_owned() + &plugins.iter().map(tenant).collect::<String>()));
    let admin = |arguments: &str| gateway.command(arguments).env("PORTCULLIS_ADMIN_TOKEN", "admin-secret");
    for (language, built) in &plugins {
        let file = gateway.write(&format!("my-{language}.wasm"), &built.component);
        admin("plugin push").arg(&file).good();
    }
    let agent = ureq::Agent::new_with_defaults();
    let call = |language: &str, path: &str, body: Value| -> Value {
        let url = format!("{}/portcullis/v1/senders/support/{path}", gateway.url());
        let request = agent.post(url).header("authorization", format!("Bearer {language}-secret"));
        let mut answer = request.content_type("application/json").send(body.to_string()).unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    };
    for (language, _) in &plugins {
        for n in 0..BLOCKED {
            call(language, "entries", json!({ "number": number(n) }));
        }
    }

    let (is_over, checked) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let checkers = plugins.iter().map(|(language, _)| {
            let (call, is_over, checked) = (&call, &is_over, &checked);
            scope.spawn(move || {
                for n in (0..2 * BLOCKED).cycle() {
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    let body = json!({ "number": number(n), "direction": "outbound" });
                    let answer = call(language, "check", body);
                    let verdict = if n < BLOCKED { "block" } else { "allow" };
                    // By the plugin, and not by what stands in for one that failed.
                    assert_eq!(answer["verdict"], verdict, "{language} {n}: {answer}");
                    assert_eq!(answer["source"], "plugin", "{language} {n}: {answer}");
                    checked.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        let checkers: Vec<_> = checkers.collect();
        for _ in 0..ROUNDS {
            for own in [true, false] {
                for (language, _) in &plugins {
                    let plugin = if own { format!("my-{language}") } else { "exact".to_owned() };
                    let before = checked.load(Ordering::SeqCst);
                    admin(&format!("plugin reload --tenant {language} --plugin {plugin}")).good();
                    while checked.load(Ordering::SeqCst) < before + 100 {
                        assert!(
                            !checkers.iter().any(thread::ScopedJoinHandle::is_finished),
                            "a check failed"
                        );
                        thread::yield_now();
                    }
                }
            }
        }
        is_over.store(true, Ordering::SeqCst);
    });
    write_costs(&plugins);
}

/// Measures what the plugins cost, beside `exact`, for the table in `docs/plugins.md`, if `PORTCULLIS_MEASURED` names a folder.
fn write_costs(plugins: &[(&str, &Built)]) {
    let Some(folder) = std::env::var_os("PORTCULLIS_MEASURED") else { return };
    let scratch = tempfile::tempdir().unwrap();
    let costs = plugins.iter().map(|(language, built)| {
        let file = scratch.path().join(format!("my-{language}.wasm"));
        fs::write(&file, &built.component).unwrap();
        let report = command("plugin verify --bench --json").arg(file.to_str().unwrap()).good().out;
        let mut report: Value = serde_json::from_str(&report).unwrap();
        report["bytes"] = json!(built.component.len());
        ((*language).to_owned(), report)
    });
    let costs: serde_json::Map<String, Value> = costs.collect();
    let text = serde_json::to_string_pretty(&costs).unwrap();
    fs::write(Path::new(&folder).join("languages.json"), text).unwrap();
}
