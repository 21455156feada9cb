//! Fuzzes [`portcullis_fuzz::state_file`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::state_file(data));
