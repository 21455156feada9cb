//! Requests that no client library sends: unfinished, pipelined, or with made-up methods.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use super::support::{Gateway, LONG};

/// Opens a connection.
pub(crate) fn connect(gateway: &Gateway) -> TcpStream {
    let stream = TcpStream::connect(gateway.address()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_write_timeout(Some(LONG)).unwrap();
    stream
}

/// The head of a request, with its empty line. `headers` are lines without line breaks.
pub(crate) fn head(method: &str, path: &str, headers: &[String]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head
}

/// Reads one head from the connection, up to its empty line. Empty if the connection was closed.
pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Ok(_) => return String::new(),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return String::new(),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => panic!("no answer: {error}"),
        }
    }
    String::from_utf8(head).unwrap()
}

/// The status of a response; 0 if the connection was closed.
pub(crate) fn status(head: &str) -> u16 {
    head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Sends a head, and returns the head of the response, without sending a body.
pub(crate) fn answer_to_head(gateway: &Gateway, head: &str) -> String {
    let mut stream = connect(gateway);
    // It fails if the gateway has closed the connection already.
    let _ = stream.write_all(head.as_bytes());
    read_head(&mut stream)
}

/// Sends the same request many times over one connection, a hundred at once, and asserts that each response has this status.
pub(crate) fn flood(gateway: &Gateway, request: &str, count: usize, expected: u16) {
    let mut stream = connect(gateway);
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let many = request.repeat(100);
    for _ in 0..count / 100 {
        stream.write_all(many.as_bytes()).unwrap();
        for _ in 0..100 {
            let head = read_response(&mut answers);
            assert_eq!(status(&head), expected, "{head}");
        }
    }
}

/// Reads one response, and returns its head.
fn read_response(answers: &mut impl BufRead) -> String {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let before = head.len();
        assert!(answers.read_line(&mut head).unwrap() > 0, "the connection was closed");
        let line = head[before..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    std::io::copy(&mut answers.take(length), &mut std::io::sink()).unwrap();
    head
}
