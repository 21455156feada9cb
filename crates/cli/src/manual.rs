//! `portcullis manual`, which writes the pages that packages install.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command};
use clap_mangen::Man;

use super::Exit;

/// Write the manual pages of all commands to a folder
///
/// `portcullis.1` and a page per command, such as `portcullis-plugin-verify.1`. The folder is created if it is missing.
#[derive(Args)]
pub(super) struct Options {
    /// The folder
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes the pages of a command line.
pub(super) fn run(options: &Options, command: Command) -> anyhow::Result<Exit> {
    let folder = &options.folder;
    let failed = || format!("can't write the manual to {}", folder.display());
    fs::create_dir_all(folder).with_context(failed)?;
    let mut command = command.disable_help_subcommand(true);
    // Gives each command its full name, and the options of all commands.
    command.build();
    let source = format!("{} {}", command.get_name(), command.get_version().unwrap_or_default());
    write(&command, &source, folder).with_context(failed)?;
    Ok(Exit::Good)
}

/// Writes the page of a command, and those of its subcommands.
fn write(command: &Command, source: &str, folder: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        write(subcommand, source, folder)?;
    }
    let page = Man::new(command.clone()).source(source).manual("Portcullis");
    let mut file = File::create(folder.join(page.get_filename()))?;
    page.render(&mut file)?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_with_a_name_and_nobody_s_token() {
        let folder = tempfile::tempdir().unwrap();
        run(&Options { folder: folder.path().join("man") }, crate::command()).unwrap();
        let pages: Vec<PathBuf> =
            fs::read_dir(folder.path().join("man")).unwrap().map(|page| page.unwrap().path()).collect();
        for name in
            ["portcullis.1", "portcullis-serve.1", "portcullis-plugin-verify.1", "portcullis-completions.1"]
        {
            assert!(pages.iter().any(|page| page.ends_with(name)), "{name}: {pages:?}");
        }
        assert!(!pages.iter().any(|page| page.ends_with("portcullis-manual.1")), "{pages:?}");
        for page in &pages {
            let text = fs::read_to_string(page).unwrap();
            assert!(text.contains(".SH NAME") && text.contains("PORTCULLIS_TOKEN"), "{}", page.display());
        }
    }
}
