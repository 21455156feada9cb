//! `portcullis completions`.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use clap_complete::Shell as Generator;

use super::Exit;
use super::output::Results;

/// Print a script that completes commands and options in a shell
///
/// The Debian package has installed them. Without it, write the script to where your shell looks for it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis completions bash > ~/.local/share/bash-completion/completions/portcullis
  portcullis completions zsh > ~/.zfunc/_portcullis    # with fpath+=~/.zfunc before compinit
  portcullis completions fish > ~/.config/fish/completions/portcullis.fish")]
pub(super) struct Options {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// The shells whose scripts are tested.
#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl From<Shell> for Generator {
    fn from(shell: Shell) -> Self {
        match shell {
            Shell::Bash => Generator::Bash,
            Shell::Zsh => Generator::Zsh,
            Shell::Fish => Generator::Fish,
        }
    }
}

/// Prints the script for a command line.
pub(super) fn run(options: &Options, mut command: clap::Command) -> anyhow::Result<Exit> {
    let name = command.get_name().to_owned();
    // Into memory first: the generator panics where it can't write, as when the reader of a pipe is gone.
    let mut script = Vec::new();
    clap_complete::generate(Generator::from(options.shell), &mut command, name, &mut script);
    let mut results = Results::open();
    results.write_all(&script)?;
    results.flush()?;
    Ok(Exit::Good)
}
