//! Development tasks: `cargo xtask run`, `test`, `bench`, and others.
#![forbid(unsafe_code)]

#[cfg(not(unix))]
compile_error!("the gateway and its tasks need a Unix: see docs/installing.md. On Windows, use WSL");

mod bench;
mod cargo;
mod demo;
mod dist;
mod fleet;
mod fuzz;
mod languages;
mod package;
mod performance;
mod soak;
mod subcommand;
mod third_party;
mod unpacked;
mod wasm_target;

use anyhow::{Result, bail};
use subcommand::{Overview, Subcommand, asks_for_help, is_help};

#[expect(clippy::print_stdout, reason = "output for the terminal")]
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else { bail!("no command\n\n{Overview}") };
    if is_help(command) {
        println!("{Overview}");
        return Ok(());
    }
    if command == "invite" {
        return demo::invite(rest);
    }
    let subcommand = Subcommand::named(command)?;
    if asks_for_help(rest) {
        print!("{subcommand}");
        return Ok(());
    }
    wasm_target::ensure()?;
    (subcommand.run)(rest)
}
