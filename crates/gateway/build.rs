//! Strips the symbols of the `portcullis` binary, a fifth of its size. `PORTCULLIS_SYMBOLS=1` keeps them for a profiler.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PORTCULLIS_SYMBOLS");
    // Only for the binary: tests and benchmarks keep their symbols.
    if std::env::var_os("PORTCULLIS_SYMBOLS").is_none() && cfg!(target_os = "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,--discard-all");
    }
}
