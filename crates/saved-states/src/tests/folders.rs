//! Files, folders, and what else is in them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn unfinished_files_are_removed_at_the_next_start() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    save(&state, &[b"old"]);
    let mut writer = state.write(&header()).unwrap();
    writer.part(&[0; 100_000]).unwrap();
    std::mem::forget(writer);
    assert_eq!(gateway.files().len(), 2);

    States::open(gateway.dir()).unwrap();
    assert_eq!(gateway.files(), [state.path()]);
    assert_eq!(loaded(&state), [b"old"]);
}

#[test]
fn a_folder_that_must_not_be_shared_is_open_once() {
    let gateway = Gateway::new();
    let first = States::open_alone(gateway.dir()).unwrap();
    assert!(matches!(States::open_alone(gateway.dir()), Err(StateError::InUse { .. })));
    drop(first);
    States::open_alone(gateway.dir()).unwrap();
}

#[test]
fn other_files_are_left_alone() {
    let gateway = Gateway::new();
    fs::create_dir_all(gateway.dir().join("notes")).unwrap();
    let notes = gateway.dir().join("notes/draft.tmp");
    fs::write(&notes, "").unwrap();
    States::open(gateway.dir()).unwrap();
    assert!(notes.exists());
}

#[test]
fn only_the_owner_can_read_files_and_folders() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    save(&state, &[b"part"]);
    assert_eq!(mode(&gateway.dir()), 0o700);
    assert_eq!(mode(state.path().parent().unwrap()), 0o700);
    assert_eq!(mode(state.path()), 0o600);
    // A folder that the operator made stays as it is.
    fs::set_permissions(gateway.dir(), Permissions::from_mode(0o750)).unwrap();
    save(&state, &[b"part"]);
    assert_eq!(mode(&gateway.dir()), 0o750);
}

#[test]
fn an_obstacle_to_the_folder_is_named() {
    let gateway = Gateway::new();
    fs::write(gateway.dir(), "a file").unwrap();
    let state = gateway.state("acme", &Scope::Tenant);
    let path = gateway.dir().display().to_string();
    let said =
        |error: &(dyn std::error::Error + 'static)| format!("{error}: {}", error.source().expect("a cause"));

    let error = States::open(gateway.dir()).err().unwrap();
    assert_eq!(said(&error), format!("cannot read the folder {path}: Not a directory (os error 20)"));
    let error = state.write(&header()).err().unwrap();
    assert_eq!(said(&*error), format!("cannot create the folder {path}: File exists (os error 17)"));
    for error in [state.read().err(), state.discard().err()] {
        let said = said(&*error.unwrap());
        assert!(said.contains(&path) && said.ends_with("Not a directory (os error 20)"), "{said}");
    }
    assert!(gateway.states.forget(&name("acme")).is_err());
}

#[test]
fn an_obstacle_to_the_file_is_named() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    fs::create_dir_all(state.path()).unwrap();
    let path = state.path().display().to_string();
    let writer = state.write(&header()).unwrap();
    for (error, doing) in
        [(state.read().err(), "read"), (writer.finish().err(), "write"), (state.discard().err(), "remove")]
    {
        let error = error.unwrap();
        assert_eq!(error.to_string(), format!("cannot {doing} the saved state {path}"));
        assert_eq!(error.source().unwrap().to_string(), "Is a directory (os error 21)");
    }
    assert_eq!(gateway.files(), [state.path()]);
}

#[test]
fn forgetting_a_tenant_removes_its_states_only() {
    let gateway = Gateway::new();
    let states = [gateway.state("acme", &Scope::Tenant), gateway.state("acme", &sender("bot"))];
    let other = gateway.state("acme.2", &Scope::Tenant);
    for state in states.iter().chain([&other]) {
        save(state, &[b"part"]);
    }
    let mut under_way = states[0].write(&header()).unwrap();
    under_way.part(b"part").unwrap();
    gateway.states.forget(&name("acme")).unwrap();
    assert!(under_way.finish().is_err());
    assert_eq!(gateway.files(), [other.path()]);
    assert!(states[0].read().unwrap().is_none());
    gateway.states.forget(&name("acme")).unwrap();
}

#[test]
fn a_tenant_s_name_does_not_lead_out_of_the_folder() {
    let gateway = Gateway::new();
    let tenants = [".", "..", "...", "-", "tmp", &"a".repeat(64)];
    for tenant in tenants {
        let state = gateway.state(tenant, &Scope::Tenant);
        save(&state, &[b"part"]);
        let path = state.path().canonicalize().unwrap();
        assert_eq!(path.parent().unwrap().parent().unwrap(), gateway.dir().canonicalize().unwrap());
    }
    for tenant in tenants {
        gateway.states.forget(&name(tenant)).unwrap();
        assert!(gateway.state(tenant, &Scope::Tenant).read().unwrap().is_none());
    }
    assert!(gateway.dir().exists() && gateway.folder.path().join("portcullis.db").exists());
}
