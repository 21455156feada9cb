//! Fuzzes [`portcullis_fuzz::plugin_state`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::plugin_state(data));
