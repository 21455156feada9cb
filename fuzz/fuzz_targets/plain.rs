//! Fuzzes [`portcullis_fuzz::plain`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::plain(data));
