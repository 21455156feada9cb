//! Files of components.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::{Context as _, bail};

/// How a component begins: as WebAssembly does, and then with the version and the layer of components.
const START: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// Reads a component that is to be signed, or to be published. Of another file, only the first bytes are read.
///
/// # Errors
/// If it can't be read, or is none.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let unreadable = || format!("can't read {}", file.display());
    let mut opened = File::open(file).with_context(unreadable)?;
    let mut start = [0; START.len()];
    let is_component = match opened.read_exact(&mut start) {
        Ok(()) => start == START,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
        Err(error) => return Err(error).with_context(unreadable),
    };
    if !is_component {
        bail!("{} is no WebAssembly component: `portcullis plugin verify` says what it is", file.display());
    }
    let mut component = start.to_vec();
    opened.read_to_end(&mut component).with_context(unreadable)?;
    Ok(component)
}
