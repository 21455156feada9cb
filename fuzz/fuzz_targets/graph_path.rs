//! Fuzzes [`portcullis_fuzz::graph_path`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::graph_path(data));
