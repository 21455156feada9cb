//! Why a file is not a plugin.

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
    #[error("it is not WebAssembly: it does not begin with the bytes \\0asm")]
    NotWasm,
    /// It is a core module, which `cargo build --target wasm32-unknown-unknown` produces with the default linker.
    #[error(
        "it is a WebAssembly module, not a component: build it with the linker wasm-component-ld, which comes with Rust \
         (CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-component-ld)"
    )]
    Module,
    /// It is truncated or malformed.
    #[error("it is damaged or truncated: {0}")]
    Damaged(String),
    /// It has imports, of which the first few are named. Plugins are sandboxed and may import nothing.
    #[error(
        "it imports {}, but a plugin may import nothing: remove the dependencies that need the imports, and (for Rust) \
         build for wasm32-unknown-unknown, not for WASI",
        .0.join(", ")
    )]
    Imports(Vec<String>),
    /// Components inside it call each other, or themselves through the component model.
    #[error(
        "components inside it call each other, and a plugin must be one piece: link its parts into one module before it is \
         made a component"
    )]
    Composed,
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
    /// Its machine code exceeds [`Limits::compiled_bytes`](crate::Limits::compiled_bytes).
    #[error("it compiles to more than {limit} bytes, which is the most that is allowed")]
    TooMuchCode {
        /// The limit in bytes.
        limit: usize,
    },
}
