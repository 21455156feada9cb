//! Fuzzes [`portcullis_fuzz::fields`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::fields(data));
