//! Compiles a plugin, for a host that starts it as a [`Compiler::Child`](portcullis_host::Compiler) with the argument
//! `compile`. It must be of the host's version of `portcullis-host`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis_host::compile_child_main();
    eprintln!("portcullis-compiler is started by a host of Portcullis plugins, and not by people");
    ExitCode::FAILURE
}
