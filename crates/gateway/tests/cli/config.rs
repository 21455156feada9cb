//! `portcullis config`: files that are checked, printed and described without a gateway.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::gateway::{Run, command};

const VALID: &str =
    "[server]\nlisten = \"127.0.0.1:0\"\n[storage]\nurl = \"sqlite://portcullis.db\"\n# end\n";

/// A folder with a configuration file in it.
struct Folder(TempDir);

impl Folder {
    fn with(config: &str) -> Self {
        let folder = Folder(TempDir::new().unwrap());
        folder.write("portcullis.toml", config);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Runs `config check` or `config print` on the file, with these variables.
    fn run(&self, what: &str, variables: &[(&str, &str)], code: i32) -> Run {
        let command = command(&format!("config {what}")).arg(self.path("portcullis.toml").to_str().unwrap());
        variables.iter().fold(command, |command, (name, value)| command.env(name, value)).ends(code)
    }

    fn files(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

#[test]
fn a_valid_file_is_checked_and_nothing_is_made() {
    let folder = Folder::with(VALID);
    let run = folder.run("check", &[], 0);
    assert_eq!(run.out, "");
    assert!(run.err.contains("is valid: 0 warnings"), "{}", run.err);
    assert_eq!(folder.files().len(), 1);
}

#[test]
fn everything_that_is_wrong_has_its_line() {
    let folder = Folder::with(&VALID.replace("127.0.0.1:0", "nowhere").replace("sqlite://", ""));
    let run = folder.run("check", &[], 2);
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.out);
    assert!(lines[0].contains("portcullis.toml:2: server.listen: "), "{}", run.out);
    assert!(lines[1].contains("portcullis.toml:4: storage.url: "), "{}", run.out);

    let json: serde_json::Value = serde_json::from_str(&folder.run("check --json", &[], 2).out).unwrap();
    assert_eq!((&json["valid"], json["problems"].as_array().unwrap().len()), (&false.into(), 2));
    command("config check /nowhere/portcullis.toml").ends(2);
}

#[test]
fn what_a_valid_file_could_do_better_is_a_warning() {
    let text = VALID
        .replace("# end\n", "[[tenants]]\nid = \"acme\"\nplugin = \"exacter\"\nacknowledge = \"fleet\"\n");
    let run = Folder::with(&text).run("check", &[], 0);
    for warning in
        ["there is no plugin of this name", "no effect: with SQLite", "the last line is not `# end`"]
    {
        assert!(
            run.out.lines().any(|line| line.starts_with("warning: ") && line.contains(warning)),
            "{}",
            run.out
        );
    }
}

#[test]
fn values_from_the_environment_are_used_and_not_shown() {
    let text = VALID.replace("127.0.0.1:0", "${LISTEN}");
    let folder = Folder::with(&text);
    folder.run("check", &[("LISTEN", "127.0.0.1:0")], 0);

    let run = folder.run("check", &[("LISTEN", "hidden-value")], 2);
    assert!(run.out.contains(":2: server.listen: ") && !run.out.contains("hidden-value"), "{}", run.out);

    let run = command("config check").arg(folder.path("portcullis.toml").to_str().unwrap()).ends(2);
    assert!(run.out.contains(":2: server.listen: the variable LISTEN is not set"), "{}", run.out);

    let run = folder.run("print", &[("LISTEN", "127.0.0.1:4321")], 0);
    assert!(run.out.contains("listen = \"${LISTEN}\"") && !run.out.contains("4321"), "{}", run.out);
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let text = VALID.replace(
        "[storage]",
        "admin_token_file = \"admin.token\"\n[meta]\napp_secret_file = \"credential:app\"\nverify_token = \"${VERIFY}\"\n[storage]",
    );
    let folder = Folder::with(&text);
    folder.write("admin.token", "file-secret-1\n");
    folder.write("app", "file-secret-2");
    let credentials = folder.path("").to_str().unwrap().to_owned();
    let variables = [("CREDENTIALS_DIRECTORY", credentials.as_str()), ("VERIFY", "file-secret-3")];
    folder.run("check", &variables, 0);
    let run = folder.run("print", &variables, 0);
    assert!(
        run.out.contains("admin_token = \"(set)\"") && run.out.contains("app_secret = \"(set)\""),
        "{}",
        run.out
    );
    assert!(!run.out.contains("file-secret") && !run.err.contains("file-secret"), "{}", run.out);

    // A token with a space in it is not valid, and is not repeated.
    folder.write("admin.token", "file-secret 1\n");
    let run = folder.run("check", &variables, 2);
    assert!(run.out.contains(":3: server.admin_token: ") && !run.out.contains("file-secret"), "{}", run.out);

    std::fs::remove_file(folder.path("admin.token")).unwrap();
    let run = folder.run("check", &variables, 2);
    assert!(run.out.contains(":3: server.admin_token_file: can't read admin.token"), "{}", run.out);
}

#[cfg(unix)]
#[test]
fn a_file_with_secrets_that_others_can_read_is_remarked_on() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    let text = VALID
        .replace("[storage]", "admin_token = \"clear-secret\"\n[meta]\napp_secret_file = \"app\"\n[storage]");
    let folder = Folder::with(&text);
    folder.write("app", "file-secret");
    let mode = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let warned = |name: &str| {
        let out = folder.run("check", &[], 0).out;
        out.lines().any(|line| line.contains(&format!("{name}: it has secrets, and all users")))
    };
    mode(&folder.path("app"), 0o644);
    mode(&folder.path("portcullis.toml"), 0o644);
    // Nobody else gets into the folder.
    mode(&folder.path(""), 0o700);
    assert!(!warned("portcullis.toml") && !warned("app"));
    mode(&folder.path(""), 0o755);
    // Nor anywhere, if the folder for temporary files is private.
    let is_open = folder
        .0
        .path()
        .ancestors()
        .skip(1)
        .all(|above| std::fs::metadata(above).unwrap().permissions().mode() & 0o001 != 0);
    assert_eq!((warned("portcullis.toml"), warned("app")), (is_open, is_open));
    mode(&folder.path("portcullis.toml"), 0o600);
    assert_eq!((warned("portcullis.toml"), warned("app")), (false, is_open));
    // Digests are no secrets.
    folder.write(
        "portcullis.toml",
        &VALID.replace("[storage]", &format!("admin_token = \"sha256:{}\"\n[storage]", "0".repeat(64))),
    );
    mode(&folder.path("portcullis.toml"), 0o644);
    assert!(!warned("portcullis.toml"));
}

#[test]
fn what_is_printed_is_valid_with_all_defaults() {
    let folder = Folder::with(
        &VALID.replace("# end", "[[tenants]]\nid = \"acme\"\n[[tenants.senders]]\nid = \"support\"\n# end"),
    );
    let printed = folder.run("print", &[], 0).out;
    for setting in
        ["max_body_bytes = 16777216", "on_failure = \"closed\"", "active = true", "whats91_max_limit = 1000"]
    {
        assert!(printed.contains(setting), "{setting}: {printed}");
    }
    let again = Folder::with(&printed);
    again.run("check", &[], 0);
    let json: serde_json::Value = serde_json::from_str(&folder.run("print --json", &[], 0).out).unwrap();
    assert_eq!(json["tenants"][0]["senders"][0]["blocked_inbound"], "drop");
}

#[test]
fn the_schema_describes_every_setting_to_an_editor() {
    let run = command("config schema").good();
    let schema: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for table in ["server", "storage", "fleet", "plugins", "limits", "dialects", "traffic", "meta", "tenants"]
    {
        assert!(schema["properties"].get(table).is_some(), "{table}");
    }
    let defs = schema["$defs"].as_object().unwrap();
    for (name, def) in defs {
        for (setting, schema) in def["properties"].as_object().into_iter().flatten() {
            assert!(
                schema["description"].is_string() || schema["$ref"].is_string(),
                "{name}.{setting} is not described"
            );
        }
    }
    assert_eq!(defs["Server"]["properties"]["max_body_bytes"]["maximum"], 1 << 30);
}
