//! The configurations that packages install, read by the program itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::gateway::command;

/// Checks a configuration, with `replaced` in place of paths that are not here.
#[track_caller]
fn check(text: &str, replaced: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["admin_token", "database_password"] {
        fs::write(folder.path().join(name), "not-so-secret").unwrap();
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let mut text = text.to_owned();
    for (from, to) in replaced {
        assert!(text.contains(from), "{from}: {text}");
        text = text.replace(from, to);
    }
    let file = folder.path().join("portcullis.toml");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let run = command(&format!("config check {}", file.display())).env("POD_NAME", "gate-0").good();
    assert!(run.err.contains("0 warnings"), "{}{}", run.out, run.err);
}

#[test]
fn the_configuration_of_the_debian_package_is_valid() {
    check(include_str!("../../../../packaging/config/portcullis.toml"), &[]);
}

#[test]
fn the_configurations_of_the_container_are_valid() {
    check(include_str!("../../../../packaging/container/portcullis.toml"), &[]);
    let secrets = [
        ("/run/secrets/admin_token", "admin_token"),
        ("/run/secrets/database_password", "database_password"),
    ];
    check(include_str!("../../../../packaging/container/portcullis.compose.toml"), &secrets);
}
