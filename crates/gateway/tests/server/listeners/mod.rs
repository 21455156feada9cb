//! The addresses that the gateway listens on, TLS and HTTP/2.

mod addresses;
mod http2;
mod passed;
mod stream;
mod tls;

use std::io::{Read, Write};
use std::net::TcpStream;

use super::support::{Gateway, LONG};

/// The address, without its scheme, of the last listener of a kind that the log announces: `https://`, or `http://` for administration.
fn announced(gateway: &Gateway, line: &str, scheme: &str) -> String {
    let wanted = format!("{line} address=\"{scheme}");
    gateway.until_logged(&wanted);
    let log = gateway.log();
    let (_, rest) = log.rsplit_once(&wanted).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// Sends a request over HTTP/1.1, and returns the status and the whole response.
fn ask(mut stream: impl Read + Write, request: &str, headers: &[&str], body: &str) -> (u16, String) {
    let mut text = format!("{request} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    if !body.is_empty() {
        text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    stream.write_all(text.as_bytes()).unwrap();
    let mut response = Vec::new();
    // A client that is refused may find its connection reset after the response.
    let _ = stream.read_to_end(&mut response);
    let response = String::from_utf8_lossy(&response).into_owned();
    (super::raw::status(&response), response)
}
