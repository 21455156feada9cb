//! Fuzzes [`portcullis_fuzz::component`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::component(data));
