//! The contract, as wasmtime's generator renders it.
#![allow(
    missing_docs,
    unsafe_code,
    unused_qualifications,
    unreachable_pub,
    clippy::undocumented_unsafe_blocks,
    clippy::cast_possible_truncation,
    clippy::clone_on_ref_ptr,
    clippy::missing_errors_doc,
    clippy::allow_attributes_without_reason,
    reason = "generated from the contract"
)]

wasmtime::component::bindgen!({
    path: "wit/0.1.0",
    world: "plugin",
});
