//! Fuzzes [`portcullis_fuzz::number`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::number(data));
