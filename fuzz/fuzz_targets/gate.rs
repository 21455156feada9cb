//! Fuzzes [`portcullis_fuzz::gate`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::gate(data));
