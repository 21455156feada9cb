//! Fuzzes [`portcullis_fuzz::query`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::query(data));
