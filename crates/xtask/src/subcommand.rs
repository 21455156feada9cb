//! The subcommands, and their help.

use std::fmt;

use anyhow::{Result, bail};

use crate::{bench, cargo, demo, dist, fleet, fuzz, languages, package, soak};

/// A subcommand of `cargo xtask`.
pub(crate) struct Subcommand {
    name: &'static str,
    /// The ways to call it: what follows its name, and what it does then.
    forms: &'static [(&'static str, &'static str)],
    pub(crate) run: fn(&[String]) -> Result<()>,
}

const ALL: &[Subcommand] = &[
    Subcommand {
        name: "run",
        forms: &[(
            " [--listen ADDRESS]",
            "builds everything, starts a gateway with a demo tenant, and prints three commands to try",
        )],
        run: demo::run,
    },
    Subcommand {
        name: "fleet",
        forms: &[(
            "",
            "\
builds everything, and starts three gateways, a balancer, and a primary and a standby of PostgreSQL, each in a
network namespace; prints their addresses, and how to break them. Needs root, and Debian's packages postgresql,
haproxy and iproute2",
        )],
        run: fleet::run,
    },
    Subcommand {
        name: "test",
        forms: &[(" [ARGUMENTS]", "runs all tests; ARGUMENTS are passed to `cargo test`")],
        run: cargo::test,
    },
    Subcommand {
        name: "soak",
        forms: &[(
            " [NAME…]",
            "\
runs the long forms of tests, or some of them: `reload` (200 reloads of a million numbers under load, with check
latencies), `gate` (100,000 random requests that must not bypass the gate), `clients` (a million refused requests),
`fleet` (a million commits at three gateways, and 40 kills of their database), `ledger` (1,000 starts on damaged
ledgers) and `components` (half an hour of random and hostile components for the compiler)",
        )],
        run: soak::run,
    },
    Subcommand {
        name: "fuzz",
        forms: &[(
            " [--seconds N] [TARGET…]",
            "\
searches for inputs that break a parser: N seconds (60) each of all targets in fuzz/, or of some; installs cargo-fuzz
if it is missing, and needs a C++ compiler",
        )],
        run: fuzz::run,
    },
    Subcommand {
        name: "bench",
        forms: &[
            (
                " [--install]",
                "\
runs all benchmarks (about an hour), and writes docs/performance.md; peers that are not installed are skipped, unless
--install allows installing them and the instruction counter as Debian packages",
            ),
            (" --page", "writes the page with the results of earlier runs"),
            (
                " [NAME] [-- ARGUMENTS]",
                "\
runs only Criterion's benchmarks whose name contains NAME, and writes the page; ARGUMENTS are passed to Criterion",
            ),
        ],
        run: bench::run,
    },
    Subcommand {
        name: "languages",
        forms: &[(
            "",
            "\
builds the templates of plugins in Rust, C and JavaScript, exchanges them while messages are checked, measures what each
costs, and writes the table in docs/plugins.md; needs clang and wasi-libc, and Node.js",
        )],
        run: languages::run,
    },
    Subcommand {
        name: "build",
        forms: &[(
            "",
            "\
builds the gateway to target/release/portcullis and the plugins to target/plugins/NAME.wasm, and prints the plugins'
versions: the digests of their bytes, which are the same wherever they are built with the same compiler",
        )],
        run: build,
    },
    Subcommand {
        name: "dist",
        forms: &[(
            " [--no-build]",
            "\
builds the gateway, writes its manual, completions and the licences of its crates to packaging/dist, and makes the Debian
package in target/debian; needs cargo-deb",
        )],
        run: dist::dist,
    },
    Subcommand {
        name: "package",
        forms: &[(
            " [ARGUMENTS]",
            "\
creates packages for crates.io in target/packages, and builds each from its contents only; prints the versions of the
plugins in them; ARGUMENTS are passed to `cargo package`",
        )],
        run: package::package,
    },
    Subcommand {
        name: "publish",
        forms: &[(
            " [ARGUMENTS]",
            "checks and uploads the packages; ARGUMENTS, such as --dry-run, are passed to `cargo publish`",
        )],
        run: package::publish,
    },
];

/// The help of all subcommands.
pub(crate) struct Overview;

impl Subcommand {
    /// Returns the subcommand of this name.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn named(name: &str) -> Result<&'static Self> {
        match ALL.iter().find(|subcommand| subcommand.name == name) {
            Some(subcommand) => Ok(subcommand),
            None => bail!("unknown command {name:?}\n\n{Overview}"),
        }
    }
}

impl fmt::Display for Subcommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (arguments, what) in self.forms {
            writeln!(f, "  cargo xtask {}{arguments}", self.name)?;
            for line in what.lines() {
                writeln!(f, "      {line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Overview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for subcommand in ALL {
            write!(f, "{subcommand}")?;
        }
        write!(
            f,
            "\nAll commands install the WebAssembly target if it is missing. --help prints the help of one."
        )
    }
}

/// Whether these arguments ask for help. Those behind `--` are another program's.
pub(crate) fn asks_for_help(arguments: &[String]) -> bool {
    arguments.iter().take_while(|argument| *argument != "--").any(|argument| is_help(argument))
}

/// Whether an argument asks for help.
pub(crate) fn is_help(argument: &str) -> bool {
    matches!(argument, "--help" | "-h")
}

fn build(arguments: &[String]) -> Result<()> {
    if let Some(unknown) = arguments.first() {
        bail!("`cargo xtask build` takes no arguments: {unknown:?}");
    }
    cargo::build()
}
