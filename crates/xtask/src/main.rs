//! Development tasks: `cargo xtask run`, `test`, `bench`, and others.
#![forbid(unsafe_code)]

mod bench;
mod cargo;
mod demo;
mod fleet;
mod fuzz;
mod package;
mod performance;
mod soak;
mod wasm_target;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  run [--listen ADDRESS]   builds everything, starts a gateway with a demo tenant, and prints three commands to try
  fleet                    builds everything, and starts three gateways, a balancer, and a primary and a standby of PostgreSQL, each in
                           a network namespace; prints their addresses, and how to break them. Needs root, and Debian's packages
                           postgresql, haproxy and iproute2
  test [ARGUMENTS]         runs all tests; ARGUMENTS are passed to `cargo test`
  soak [NAME…]             runs the long forms of tests, or some of them: `reload` (200 reloads of a million numbers under load, with
                           check latencies), `gate` (100,000 random requests that must not bypass the gate), `clients` (a million
                           refused requests), `ledger` (1,000 starts on damaged ledgers) and `components` (half an hour of random
                           and hostile components for the compiler)
  fuzz [--seconds N] [TARGET…]
                           searches for inputs that break a parser: N seconds (60) each of all targets in fuzz/, or of some; installs
                           cargo-fuzz if it is missing, and needs a C++ compiler
  bench [--install]        runs all benchmarks (about an hour), and writes docs/performance.md; peers that are not installed are
                           skipped, unless --install allows installing them and the instruction counter as Debian packages
  bench --page             writes the page with the results of earlier runs
  bench ARGUMENTS          runs Criterion's benchmarks only, with ARGUMENTS, and writes the page
  build                    builds the gateway to target/release/portcullis and the plugins to target/plugins/NAME.wasm
  package [ARGUMENTS]      creates packages for crates.io in target/packages, and builds each from its contents only;
                           ARGUMENTS are passed to `cargo package`
  publish [ARGUMENTS]      checks and uploads the packages; ARGUMENTS, such as --dry-run, are passed to `cargo publish`

All commands install the WebAssembly target if it is missing.";

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
        "fleet" => {
            cargo::build()?;
            fleet::run(rest)
        }
        "test" => cargo::test(rest),
        "soak" => soak::run(rest),
        "fuzz" => fuzz::run(rest),
        "bench" => bench::run(rest),
        "build" => cargo::build(),
        "package" => package::package(rest),
        "publish" => package::publish(rest),
        other => bail!("unknown command {other:?}\n\n{USAGE}"),
    }
}
