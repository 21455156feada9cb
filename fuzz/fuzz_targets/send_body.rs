//! Fuzzes [`portcullis_fuzz::send_body`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::send_body(data));
