//! Why a file is not a plugin.

use crate::not_wasm::NotWasm;

/// The interface that a plugin may import while its author looks for a mistake.
pub(crate) const LOG: &str = "portcullis:debug/log@0.1.0";

/// Why a file is not a valid plugin component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidComponent {
    /// It is larger than [`Limits::component_bytes`](crate::Limits::component_bytes).
    #[error("it has {bytes} bytes, and {limit} are allowed")]
    TooLarge {
        /// The size of the file in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// It is neither a component nor a module.
    #[error("it is not WebAssembly: {0}")]
    NotWasm(NotWasm),
    /// It is a core module, which clang and `cargo build --target wasm32-unknown-unknown` produce with their default linkers.
    #[error(
        "it is a WebAssembly module, not a component: in Rust, build it with the linker wasm-component-ld, which comes with Rust \
         (CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-component-ld); in C, make a component of it with `portcullis plugin \
         component`"
    )]
    Module,
    /// It is truncated or malformed.
    #[error("it is damaged or truncated: {0}")]
    Damaged(String),
    /// It has imports, of which the first few are named. Plugins are sandboxed and may import nothing.
    #[error("{}", of_imports(.0))]
    Imports(Vec<String>),
    /// A component inside it instantiates another one that is imported, or exported by an instance, so that it can't be told
    /// how many instances that makes.
    #[error(
        "a component inside it is passed from one to another before it is instantiated: instantiate it where it is \
         defined, as `wac plug` and `wasm-tools compose` do"
    )]
    Opaque,
    /// It exports neither `portcullis:blacklist/blacklist@0.1.0` nor `portcullis:rules/rules@0.1.0`, or exports one with
    /// different functions or types. The text begins with the contract's name.
    #[error("it does not fit the contract {0}")]
    World(String),
    /// It exceeds the [`CompileBudget`](crate::CompileBudget), or has more than one result or any block parameters, which
    /// plugins may not use.
    #[error("it has {found} {what}, and {limit} are allowed")]
    TooMuch {
        /// What exceeds the budget.
        what: &'static str,
        /// The number found before counting stopped.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// wasmtime can't compile it.
    #[error("it can't be compiled: {0}")]
    Compile(String),
    /// The compiler has a bug that the component runs into.
    #[error(
        "the compiler panicked, which is a bug of Portcullis or wasmtime and not of the plugin: report it, with the plugin's file ({0})"
    )]
    CompilerPanicked(String),
    /// Its machine code exceeds [`Limits::compiled_bytes`](crate::Limits::compiled_bytes).
    #[error("it compiles to more than {limit} bytes, which is the most that is allowed")]
    TooMuchCode {
        /// The limit in bytes.
        limit: usize,
    },
}

fn of_imports(names: &[String]) -> String {
    if let [name] = names
        && name.trim_matches('`') == LOG
    {
        return format!(
            "it imports {name}, which no gateway offers: build it without the SDK's feature `log` before you deploy it"
        );
    }
    format!(
        "it imports {}, but a plugin may import nothing: remove the dependencies that need the imports, and (for Rust) build for \
         wasm32-unknown-unknown, not for WASI",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_told_with_what_removes_it() {
        let imports = |names: &[&str]| {
            InvalidComponent::Imports(names.iter().map(|name| format!("`{name}`")).collect()).to_string()
        };
        let log = imports(&[LOG]);
        assert!(log.ends_with("build it without the SDK's feature `log` before you deploy it"), "{log}");
        let both = imports(&["wasi:cli/stdout@0.2.0", LOG]);
        assert!(both.contains("not for WASI") && both.contains(LOG), "{both}");
    }
}
