//! The message of a panic, where the host finds it.

use std::fmt::{self, Write};
use std::hint::black_box;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// The most bytes of a message that are kept.
const LONGEST: usize = 512;

/// A note for the host. After a trap it searches the plugin's memory for the mark, behind which the message stands.
#[repr(C)]
struct Note {
    mark: [u8; 16],
    length: AtomicU32,
    message: [AtomicU8; LONGEST],
}

static NOTE: Note = Note {
    mark: *b"PORTCULLIS-PANIC",
    length: AtomicU32::new(0),
    message: [const { AtomicU8::new(0) }; LONGEST],
};

/// Keeps the message of a panic from now on. Does nothing in a plugin's own unit tests.
pub(crate) fn keep_messages() {
    static ONCE: Once = Once::new();
    if cfg!(target_family = "wasm") {
        ONCE.call_once(|| {
            panic::set_hook(Box::new(|panicked| {
                let mut writing = Writing(0);
                // What does not fit is left out.
                let _ = write!(writing, "{panicked}");
                NOTE.length.store(u32::try_from(writing.0).unwrap_or(0).to_le(), Ordering::Relaxed);
                // The compiler sees nobody who reads it.
                let _ = black_box((&NOTE, &NOTE.mark));
            }));
        });
    }
}

/// How many bytes of the message were written.
struct Writing(usize);

impl Write for Writing {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (to, byte) in NOTE.message.iter().skip(self.0).zip(text.bytes()) {
            to.store(byte, Ordering::Relaxed);
            self.0 += 1;
        }
        Ok(())
    }
}
