//! `portcullis plugin new`: a plugin to begin with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use crate::output;

const CONTRACT: &str = include_str!("../../wit/0.1.0/blacklist.wit");

#[derive(Args)]
pub(super) struct NewOptions {
    /// Name of the plugin: 1 to 64 of a-z, 0-9 and -, a letter first
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// The language
    #[arg(long, value_enum, value_name = "LANG")]
    lang: Language,
    /// The folder to create; NAME by default
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Language {
    /// Rust, with portcullis-plugin-sdk
    Rust,
    /// C, with clang and wasi-libc
    C,
    /// JavaScript, with jco and QuickJS
    Js,
}

/// A file of a template: its path and its text.
type File = (&'static str, &'static str);

/// A file in the folder `templates` of this crate.
macro_rules! template {
    ($folder:literal, $($path:literal from $file:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../templates/", $folder, "/", $file)))),+]
    };
}

impl Language {
    fn files(self) -> &'static [File] {
        match self {
            // Cargo takes a folder with a Cargo.toml for a package of its own, and Git one with a .gitignore by its word.
            Language::Rust => template!(
                "rust",
                "Cargo.toml" from "Cargo.toml.template",
                ".cargo/config.toml" from "config.toml",
                ".gitignore" from "gitignore",
                "src/lib.rs" from "lib.rs",
                "README.md" from "README.md",
            ),
            Language::C => template!(
                "c",
                "Makefile" from "Makefile",
                ".gitignore" from "gitignore",
                "list.c" from "list.c",
                "plugin.c" from "plugin.c",
                "plugin.h" from "plugin.h",
                "README.md" from "README.md",
            ),
            Language::Js => template!(
                "js",
                "package.json" from "package.json",
                ".gitignore" from "gitignore",
                "plugin.js" from "plugin.js",
                "README.md" from "README.md",
            ),
        }
    }
}

fn name(text: &str) -> Result<String, String> {
    let is_name = (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    match is_name {
        true => Ok(text.to_owned()),
        false => Err("must be 1 to 64 of a-z, 0-9 and -, with a letter first".to_owned()),
    }
}

pub(super) fn create(options: NewOptions) -> anyhow::Result<()> {
    let NewOptions { name, lang, into } = options;
    let folder = into.unwrap_or_else(|| PathBuf::from(&name));
    if folder.exists() {
        bail!("{} is there already: choose another name, or another folder with --into", folder.display());
    }
    let write = |path: &str, text: &str| -> anyhow::Result<()> {
        let file = folder.join(path);
        let text = text.replace("{{name}}", &name).replace("{{crate}}", &name.replace('-', "_"));
        fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("can't write {}", file.display()))
    };
    for (path, text) in lang.files() {
        write(path, text)?;
    }
    write("wit/blacklist.wit", CONTRACT)?;
    output::note(format_args!(
        "created {}: README.md there has the commands to build and test it",
        folder.display()
    ));
    Ok(())
}
