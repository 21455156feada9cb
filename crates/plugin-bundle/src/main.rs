//! `portcullis-plugin-bundle FOLDER` writes the shipped plugins to `FOLDER/NAME.wasm`.
#![forbid(unsafe_code)]

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use portcullis_plugin_bundle::SHIPPED;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: portcullis-plugin-bundle FOLDER");
        return ExitCode::from(2);
    };
    match write_to(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("can't write the plugins to {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write_to(folder: &std::path::Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for plugin in SHIPPED {
        let file = folder.join(format!("{}.wasm", plugin.name));
        // Renamed into place, so that a gateway watching the directory never reads a partial file.
        let part = folder.join(format!(".{}.wasm.part", plugin.name));
        std::fs::write(&part, plugin.component)?;
        std::fs::rename(&part, &file)?;
    }
    Ok(())
}
