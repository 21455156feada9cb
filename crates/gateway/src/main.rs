//! The `portcullis` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    // `portcullis compile`, which the gateway starts for each plugin: before anything else is set up in this process.
    portcullis_host::compile_child_main();
    portcullis_gateway::main()
}
