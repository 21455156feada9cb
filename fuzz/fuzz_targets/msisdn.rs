//! Fuzzes [`portcullis_fuzz::msisdn`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::msisdn(data));
