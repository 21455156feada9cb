//! Secrets that stand in files and credentials instead of the configuration file.

use serde_json::json;
use tempfile::TempDir;

use super::support::{CREDENTIALS, Gateway, SERVER};

const SECRETS: [&str; 4] = ["file-admin-1", "file-admin-2", "file-acme-1", "file-access-1"];

fn config() -> String {
    let server = SERVER.replace("admin_token = \"admin-secret\"", "admin_token_file = \"admin.token\"");
    format!(
        "{server}\n[[tenants]]\nid = \"acme\"\ntokens_file = [\"credential:acme\"]\n\
         access_token_file = \"${{CREDENTIALS_DIRECTORY}}/access\"\n[[tenants.senders]]\nid = \"support\"\n"
    )
}

#[test]
fn secrets_are_read_from_files_at_the_start_and_on_sighup() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_owned();
    std::fs::create_dir(path.join(CREDENTIALS)).unwrap();
    std::fs::write(path.join("admin.token"), "file-admin-1\n").unwrap();
    std::fs::write(path.join(CREDENTIALS).join("acme"), "file-acme-1\n").unwrap();
    std::fs::write(path.join(CREDENTIALS).join("access"), "file-access-1").unwrap();
    let gateway = Gateway::in_folder(folder, &config(), &[]);
    let tenants = |token: &str| gateway.api("GET", "/admin/tenants", token, None).status;
    let status = |token: &str| gateway.api("GET", "/status", token, None).status;
    assert_eq!((tenants("file-admin-1"), status("file-acme-1")), (200, 200));
    let shown = gateway.api("GET", "/admin/tenants/acme", "file-admin-1", None);
    let shown = shown.ok().to_string();
    assert!(shown.contains("(set)") && !shown.contains("file-access-1"), "{shown}");

    std::fs::write(path.join("admin.token"), "file-admin-2\n").unwrap();
    gateway.hang_up();
    gateway.until("the new token is read", |_| tenants("file-admin-2") == 200);
    assert_eq!(tenants("file-admin-1"), 401);

    // A file that is gone changes nothing.
    std::fs::remove_file(path.join("admin.token")).unwrap();
    gateway.hang_up();
    gateway.until_logged("can't read admin.token");
    assert_eq!(tenants("file-admin-2"), 200);

    let (log, _folder) = gateway.log_after_the_end();
    for secret in SECRETS {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn a_client_of_the_admin_api_reads_no_files_and_no_variables() {
    let gateway = Gateway::start();
    for settings in
        [json!({ "access_token_file": "portcullis.toml" }), json!({ "tokens_file": ["portcullis.toml"] })]
    {
        let refused = gateway.admin("PUT", "/initech", Some(settings));
        assert!(refused.error(400, "invalid_request").contains("unknown field"), "{refused:?}");
    }
    let put = gateway.admin("PUT", "/initech", Some(json!({ "tokens": ["${PATH}"] })));
    assert_eq!(put.status, 201, "{}", put.json);
    assert_eq!(gateway.api("GET", "/status", "${PATH}", None).status, 200, "the text is the token");
}
