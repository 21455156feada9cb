//! Leaves the symbols out of the `portcullis` program, a fifth of it. `PORTCULLIS_SYMBOLS=1` leaves them in, for a profiler.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PORTCULLIS_SYMBOLS");
    // Of the program alone: tests and benchmarks keep theirs.
    if std::env::var_os("PORTCULLIS_SYMBOLS").is_none() && cfg!(target_os = "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,--discard-all");
    }
}
