//! The master key is printed by a command.

use std::fs;

use tempfile::TempDir;

use super::keys::{config, key, verify};
use super::support::{ADMIN, Gateway, refused_start, refused_start_with};

const BLOCKED: &str = "+46732001122";

/// A configuration whose master key is what `cat` prints of a file, and a folder with that file.
fn printed(keys: &str) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("printed"), keys).unwrap();
    let command = "[storage]\nmaster_key_command = [\"cat\", \"printed\"]\n";
    (folder, config().replace("[storage]\n", command))
}

#[test]
fn a_command_prints_the_master_key_and_the_one_that_it_is_rotated_to() {
    let (folder, config) = printed(&key("1a"));
    let mut gateway = Gateway::in_folder(folder, &config, &["--new-ledger"]);
    gateway.block(BLOCKED);
    assert!(!gateway.folder().join("portcullis.key").exists());
    let print = |gateway: &Gateway, keys: String| fs::write(gateway.folder().join("printed"), keys).unwrap();
    let rotate = |gateway: &Gateway| gateway.api("POST", "/admin/keys/master/rotate", ADMIN, None);
    let refused = rotate(&gateway);
    assert!(refused.error(409, "key_not_rotated").contains("holds only the master key in use"));
    print(&gateway, key("2b"));
    let refused = rotate(&gateway);
    assert!(refused.error(409, "key_not_rotated").contains("does not hold the master key in use"));
    print(&gateway, format!("{}\n{}\n", key("1a"), key("2b")));
    rotate(&gateway).ok();
    gateway.kill_and_restart();
    assert_eq!(gateway.verdict(BLOCKED), "block");
    print(&gateway, key("2b"));
    gateway.stop();
    gateway.run_again_with(&[]);
    assert_eq!(gateway.verdict(BLOCKED), "block");
    gateway.stop();
    assert!(verify(gateway.folder()).contains("nothing is damaged"));
    print(&gateway, key("1a"));
    let refused = refused_start(gateway.folder(), &config);
    assert!(refused.contains("the master key is not the one") && !refused.contains(&key("1a")), "{refused}");
}

#[test]
fn a_command_that_fails_is_shown_with_what_it_said() {
    let (folder, config) = printed("no key");
    let refused = refused_start_with(folder.path(), &config, &["--new-ledger"]);
    assert!(
        refused.contains("the output of the key command cat") && !refused.contains("no key"),
        "{refused}"
    );
    let denied = config.replace(r#"["cat", "printed"]"#, r#"["sh", "-c", "echo denied by kms >&2; exit 3"]"#);
    let refused = refused_start_with(folder.path(), &denied, &["--new-ledger"]);
    assert!(
        refused.contains("the key command sh ended with exit code 3; it said: denied by kms"),
        "{refused}"
    );
    assert!(!folder.path().join("portcullis.db").exists());
    fs::write(folder.path().join("printed"), key("1a")).unwrap();
    // As with any key that is provided, a lost ledger is not taken for a new one.
    let refused = refused_start(folder.path(), &config);
    assert!(refused.contains("storage.master_key_command prints says that there was one"), "{refused}");
}
