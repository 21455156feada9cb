//! The project's chores: `cargo xtask run`, `test`, `bench` and what they are made of.
#![forbid(unsafe_code)]

mod bench;
mod cargo;
mod demo;
mod package;
mod performance;
mod wasm_target;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  run [--listen ADDRESS]   build everything, start a gateway with a demo tenant, print three lines to try
  test [ARGUMENTS]         all tests; ARGUMENTS go to `cargo test`
  soak                     the long forms of tests: 200 reloads of a million numbers under load, and how late checks were;
                           100,000 requests at random that must not go round the gate
  bench [--install]        measures all there is, in about an hour, and writes docs/performance.md; peers that are not installed
                           are left out, unless --install has Debian's packages installed, and what counts instructions
  bench --page             the page alone, of what was measured before
  bench ARGUMENTS          criterion's benchmarks alone, to which ARGUMENTS go, and the page with what was measured before
  build                    the gateway at target/release/portcullis, the plugins at target/plugins/NAME.wasm
  package [ARGUMENTS]      packages for crates.io in target/packages/package, each built from its contents alone; ARGUMENTS go to
                           `cargo package`
  publish [ARGUMENTS]      checks and uploads these packages; ARGUMENTS, such as --dry-run, go to `cargo publish`

Each installs the WebAssembly target where it is missing.";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else { bail!("{USAGE}") };
    if command == "invite" {
        return demo::invite(rest);
    }
    wasm_target::ensure()?;
    match command.as_str() {
        "run" => {
            cargo::build()?;
            demo::run(rest)
        }
        "test" => cargo::test(rest),
        "soak" => {
            cargo::soak(&[])?;
            cargo::soak_gate()
        }
        "bench" => bench::run(rest),
        "build" => cargo::build(),
        "package" => package::package(rest),
        "publish" => package::publish(rest),
        other => bail!("there is no command {other:?}\n\n{USAGE}"),
    }
}
