//! Saving and loading.

use portcullis_msisdn::Subject;

use super::*;
use crate::record::CONTENT_BYTES;

#[test]
fn a_state_is_loaded_as_it_was_saved() {
    let gateway = Gateway::new();
    let parts = [&b"one"[..], b"", &vec![7; CONTENT_BYTES], &vec![8; 100_000]];
    save(&gateway.state("acme", &Scope::Tenant), &parts);
    save(&gateway.state("acme", &sender("bot")), &[b"another list's"]);

    let again = States::open(gateway.dir()).unwrap();
    let state = again.of(&name("acme"), &Scope::Tenant, &gateway.keys("acme"));
    assert!(loaded(&state) == parts);
    let state = again.of(&name("acme"), &sender("bot"), &gateway.keys("acme"));
    assert_eq!(loaded(&state), [b"another list's"]);
}

#[test]
fn the_header_is_loaded_as_it_was_saved() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    let clear = StateHeader {
        format: Format { name: String::new(), version: u32::MAX },
        keyspace: Keyspace::Clear,
        sequence: 0,
        entries: 0,
    };
    for header in [header(), clear] {
        state.write(&header).unwrap().finish().unwrap();
        let (found, mut parts) = state.read().unwrap().unwrap();
        assert_eq!(found, header);
        assert!(parts.next().is_none(), "a state may be empty");
    }
}

#[test]
fn there_is_no_state_before_saving_and_after_discarding() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    state.discard().unwrap();
    assert!(state.read().unwrap().is_none());
    save(&state, &[b"part"]);
    state.discard().unwrap();
    assert!(state.read().unwrap().is_none());
    assert!(gateway.files().is_empty());
}

#[test]
fn a_new_state_replaces_the_old_one_when_it_is_complete() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    let old = vec![7; 100_000];
    save(&state, &[&old]);
    let mut writer = state.write(&header()).unwrap();
    writer.part(b"new").unwrap();
    assert!(loaded(&state) == [&*old]);
    // Who reads already goes on to read the old one.
    let (_, mut parts) = state.read().unwrap().unwrap();
    writer.finish().unwrap();
    assert_eq!(loaded(&state), [b"new"]);
    assert!(parts.next().unwrap().unwrap() == old);
    assert!(parts.next().is_none());
    assert_eq!(gateway.files(), [state.path()]);
}

#[test]
fn an_unfinished_state_leaves_the_old_one_and_nothing_else() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    save(&state, &[b"old"]);
    let mut writer = state.write(&header()).unwrap();
    writer.part(b"new").unwrap();
    drop(writer);
    assert_eq!(loaded(&state), [b"old"]);
    assert_eq!(gateway.files(), [state.path()]);
}

#[test]
fn after_an_error_a_writer_writes_no_more() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    save(&state, &[b"old"]);
    let mut writer = state.write(&header()).unwrap();
    let error = writer.part(&vec![0; CONTENT_BYTES + 1]).unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(StateError::TooLong { found: 4_194_305, .. })));
    assert_eq!(gateway.files(), [state.path()]);
    let error = writer.part(b"new").unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(StateError::GivenUp { .. })));
    assert!(writer.finish().is_err());
    assert_eq!(loaded(&state), [b"old"]);
}

#[test]
fn neither_a_file_nor_its_name_reveals_subjects_or_the_sender() {
    let gateway = Gateway::new();
    let subject = Subject::new(0x2_1122_3344_5566).unwrap().get();
    let number = "46732001122";
    let state = gateway.state("acme", &sender(number));
    save(&state, &[&subject.to_le_bytes(), number.as_bytes()]);

    let file = fs::read(state.path()).unwrap();
    let holds = |needle: &[u8]| file.windows(needle.len()).any(|window| window == needle);
    assert!(holds(b"portcullis state"));
    assert!(!holds(&subject.to_le_bytes()[..6]));
    assert!(!holds(&subject.to_be_bytes()[2..]));
    assert!(!holds(number.as_bytes()));
    assert!(!holds(b"hashed-set"));
    assert!(!state.path().display().to_string().contains(number));
}
