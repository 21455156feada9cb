//! Fuzzes [`portcullis_fuzz::dialect_body`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::dialect_body(data));
