#![doc = include_str!("../README.md")]
//!
//! For a list, start with the trait [`Blacklist`], the macro [`export!`], and [`conformance::check`] for unit tests. For rules,
//! start with the module [`rules`]. A plugin may panic: the host drops the instance, starts another one,
//! and reports the panic's message.

// Lets the macros refer to this crate by its name even inside of it.
extern crate self as portcullis_plugin_sdk;

#[doc(hidden)]
#[allow(
    missing_docs,
    unsafe_code,
    unused_qualifications,
    clippy::undocumented_unsafe_blocks,
    clippy::cast_possible_truncation,
    clippy::allow_attributes_without_reason,
    reason = "generated from the contract by wit-bindgen"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit/0.1.0",
        world: "plugin",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "portcullis_plugin_sdk::bindings",
        runtime_path: "portcullis_plugin_sdk::wit_bindgen::rt",
    });
}

#[doc(hidden)]
#[allow(
    missing_docs,
    unsafe_code,
    unused_qualifications,
    clippy::undocumented_unsafe_blocks,
    clippy::cast_possible_truncation,
    clippy::allow_attributes_without_reason,
    reason = "generated from the contract by wit-bindgen"
)]
pub mod rules_bindings {
    wit_bindgen::generate!({
        path: "wit/rules-0.1.0",
        world: "rules-plugin",
        pub_export_macro: true,
        export_macro_name: "export_rules_component",
        default_bindings_module: "portcullis_plugin_sdk::rules_bindings",
        runtime_path: "portcullis_plugin_sdk::wit_bindgen::rt",
    });
}

#[cfg(feature = "log")]
#[doc(hidden)]
#[allow(
    missing_docs,
    unsafe_code,
    unused_qualifications,
    clippy::undocumented_unsafe_blocks,
    clippy::cast_possible_truncation,
    clippy::allow_attributes_without_reason,
    reason = "generated from the interface by wit-bindgen"
)]
pub mod log_bindings {
    wit_bindgen::generate!({
        path: "wit/debug-0.1.0",
        world: "debugging",
    });
}

pub mod conformance;
mod contract;
#[allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    reason = "called only by the macro"
)]
mod glue;
mod log;
mod panics;
pub mod rules;
mod split_mix;

pub use contract::{
    Blacklist, Description, Entry, Format, Keyspace, Outcome, Page, Part, Progress, Settings,
};
pub use portcullis_msisdn::{Direction, Directions, Subject};

#[doc(hidden)]
pub use glue::Slot;
#[doc(hidden)]
pub use log::log_line;
#[doc(hidden)]
pub use wit_bindgen;

/// Exports a type that implements [`Blacklist`] as the component's `blacklist` interface.
///
/// Use it once per crate. The crate must be a `cdylib` for `wasm32-unknown-unknown`. On other targets the macro is
/// harmless, so the plugin's unit tests can run natively.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        const _: () = {
            struct Component;

            ::std::thread_local! {
                // A component has a single thread, so this is a plain static.
                static STATE: $crate::Slot<$plugin> = const { $crate::Slot::empty() };
            }

            $crate::__export_guest!(Component, STATE, $plugin);

    $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        };
    };
}

/// Exports a type that implements [`Rules`](rules::Rules) as the component's `rules` interface.
///
/// As [`export!`], which the same crate may use beside it.
#[macro_export]
macro_rules! export_rules {
    ($plugin:ty) => {
        const _: () = {
            struct Component;

            ::std::thread_local! {
                // A component has a single thread, so this is a plain static.
                static STATE: $crate::rules::RulesSlot<$plugin> = const { $crate::rules::RulesSlot::empty() };
            }

            $crate::__export_rules_guest!(Component, STATE, $plugin);

    $crate::rules_bindings::export_rules_component!(Component with_types_in $crate::rules_bindings);
        };
    };
}
