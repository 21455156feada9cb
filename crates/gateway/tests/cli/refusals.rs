//! Failures: exit code 2, a message that says what to do, and nothing on standard output.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use crate::gateway::{Gateway, Invocation, command};

const COMMANDS: [&str; 6] = [
    "check +46731000001 --direction inbound --sender support",
    "block +46731000001 --sender support",
    "unblock +46731000001 --sender support",
    "list --sender support",
    "import - --sender support",
    "export --sender support",
];

#[track_caller]
fn refused(invocation: Invocation, expected: &str) {
    let run = invocation.input("+46731000001\n").ends(2);
    assert!(run.err.contains(expected), "{}", run.err);
    assert!(run.err.contains("portcullis: "), "{}", run.err);
    assert_eq!(run.out, "");
    assert!(!run.err.contains("46731000001") && !run.err.contains("secret"), "{}", run.err);
}

#[test]
fn a_wrong_token() {
    let gateway = Gateway::start();
    for arguments in COMMANDS {
        refused(gateway.command(arguments).env("PORTCULLIS_TOKEN", "other-secret"), "PORTCULLIS_TOKEN");
    }
}

#[test]
fn no_token() {
    for arguments in COMMANDS {
        refused(command(arguments), "no token given");
    }
}

#[test]
fn an_unknown_sender() {
    let gateway = Gateway::start();
    for arguments in COMMANDS {
        refused(gateway.command(&arguments.replace("support", "unknown")), "sender");
    }
}

#[test]
fn a_gateway_that_is_not_running() {
    let mut gateway = Gateway::start();
    gateway.kill();
    for arguments in COMMANDS {
        refused(gateway.command(arguments), "is it running?");
    }
}

#[test]
fn an_unknown_host() {
    let list = command("list --sender support --token t --url http://nowhere.invalid");
    refused(list, "is --url (PORTCULLIS_URL) correct?");
}

#[test]
fn something_else_that_speaks_http() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n",
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            // The head of a GET comes in one piece.
            _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    for _ in 0..3 {
        let list = command("list --sender support").env("PORTCULLIS_URL", &url).env("PORTCULLIS_TOKEN", "t");
        refused(list, "not from a portcullis gateway");
    }
    server.join().unwrap();
}

#[test]
fn a_wrong_command_line() {
    for arguments in [
        "",
        "bloc",
        "list",
        "list --sender a --tenant-wide",
        "check 1 --sender a",
        "check 1 --sender a --direction both",
        "block --sender a",
        "block 1 --sender a --expires tomorrow",
        "list --sender a --url gate.example",
        "import f --sender a --batch 0",
        "import f --sender a --unblock --reason r",
    ] {
        let run = command(arguments).ends(2);
        assert_eq!(run.out, "", "{arguments}");
        assert!(run.err.contains("Usage") || run.err.contains("error:"), "{arguments}: {}", run.err);
    }
}

#[test]
fn help_never_shows_the_token() {
    for arguments in ["--help", "list --help", "list -h"] {
        let run = command(arguments).env("PORTCULLIS_TOKEN", "acme-secret").good();
        assert!(run.out.contains("PORTCULLIS_TOKEN") && !run.out.contains("acme-secret"), "{}", run.out);
    }
}
