//! Fuzzes [`portcullis_fuzz::tenant`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::tenant(data));
