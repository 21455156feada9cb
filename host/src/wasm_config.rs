//! How wasmtime is configured. The process that compiles a plugin and the one that runs it agree on this.

use std::num::NonZeroUsize;

use wasmparser::WasmFeatures;
use wasmtime::Config;

/// The proposals of WebAssembly that plugins may use. All others are off: each is code that a hostile component could
/// reach.
///
/// * Multi-value and multi-memory are on for the adapters that wasmtime makes between components inside a plugin, which copy from
///   the memory of one to that of another, and panics without them. Each memory counts, and there may be few.
/// * In a plugin's own modules multi-value is [refused](crate::CompileBudget) before they are compiled, because the cost of compiling
///   a block grows with its parameters, and that of blocks in sequence with the square of their number.
/// * GC is off, and with it typed references. wasmtime without its feature `gc` still accepts `ref.test` on functions
///   and subtypes of them, and then calls a function that ends the process (RUSTSEC-2026-0570).
const PROPOSALS: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::COMPONENT_MODEL);

/// The configuration for running and compiling plugins.
pub(crate) fn wasm_config() -> Config {
    let mut config = Config::new();
    // Enforces call deadlines: compiled code checks the epoch in each loop and function.
    config.epoch_interruption(true);
    // Bounds recursion in a plugin, well below the stack size of the host's threads.
    config.max_wasm_stack(512 << 10);
    // A trap is reported with what the plugin says about it: the message that it left in its memory, and the innermost functions, some
    // of which are those that panic.
    config.coredump_on_trap(true);
    config.wasm_backtrace_max_frames(NonZeroUsize::new(16));
    config.wasm_features(PROPOSALS.complement(), false);
    config
}
