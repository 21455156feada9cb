//! Machine code, made executable.

use wasmtime::component::Component;

use crate::foreign_text::ForeignText;

/// Machine code that wasmtime does not take: it was made by another version or configuration of it.
#[derive(Debug, thiserror::Error)]
#[error("the compiled plugin can't be used: {0}")]
pub(crate) struct Unusable(String);

/// Makes a component of machine code.
///
/// Pass bytes from three sources only, because a processor will execute them:
///
/// * the compiler in this process,
/// * a [child process](super::child) of this program, whose answer has the tag of this request's key,
/// * the [cache](super::cache), whose file has the tag of a key that only this program holds.
#[expect(unsafe_code, reason = "the caller vouches for the bytes, as described")]
pub(crate) fn deserialize(engine: &wasmtime::Engine, artefact: &[u8]) -> Result<Component, Unusable> {
    // SAFETY: the bytes are what `Engine::precompile_component` returned, in one of the three places above, unchanged: the
    // two that lie outside of this process authenticate them by HMAC-SHA256 before they pass them on. The slice is
    // borrowed, so nothing changes it while wasmtime copies it. That the compiler itself emits sound code is
    // trusted as it is for `Component::new`. wasmtime checks its version and configuration by itself.
    let component = unsafe { Component::deserialize(engine, artefact) };
    component.map_err(|error| Unusable(ForeignText(&format!("{error:#}")).to_string()))
}
