//! The page on importing: its examples are run as they stand there.

use std::process::Command;

use crate::gateway::{BINARY, Gateway, TOKEN};

/// The fenced blocks of a page, with what stands behind their fence.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

#[test]
fn the_examples_of_the_page_on_importing_work() {
    let gateway = Gateway::start();
    let mut said = String::new();
    let mut commands = 0;
    for (kind, text) in blocks(include_str!("../../../../docs/importing.md")) {
        if let Some(file) = kind.strip_prefix("csv ") {
            gateway.write(file, text);
            continue;
        }
        assert_eq!(kind, "sh");
        let path = format!(
            "{}:{}",
            std::path::Path::new(BINARY).parent().unwrap().display(),
            std::env::var("PATH").unwrap()
        );
        let output = Command::new("sh")
            .args(["-e", "-c", text])
            .current_dir(gateway.file("."))
            .env("PATH", path)
            .env("PORTCULLIS_URL", gateway.url())
            .env("PORTCULLIS_TOKEN", TOKEN)
            .output()
            .unwrap();
        said += &String::from_utf8(output.stdout).unwrap();
        said += &String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{text}{said}");
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
