//! Fuzzes [`portcullis_fuzz::partition`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::partition(data));
