//! What the author of a blacklist plugin depends on: the trait [`Blacklist`], the macro [`export!`], and
//! [`conformance::check`], which runs a plugin natively in a unit test.
//!
//! A plugin is a crate of the type `cdylib`, compiled for `wasm32-unknown-unknown`. It implements the trait for its
//! state and names that type to the macro:
//!
//! ```
//! use std::collections::BTreeMap;
//! use portcullis_plugin_sdk::{Blacklist, Description, Direction, Directions, Entry, Outcome, Page, Settings, Subject};
//!
//! #[derive(Default)]
//! struct Tree(BTreeMap<Subject, Directions>);
//!
//! impl Blacklist for Tree {
//!     fn describe() -> Description {
//!         Description::hashed("tree", env!("CARGO_PKG_VERSION"))
//!     }
//!     fn configure(settings: Settings) -> Result<Self, String> {
//!         settings.refuse_options().map(|()| Tree::default())
//!     }
//!     fn blocks(&self, subject: Subject, direction: Direction) -> bool {
//!         self.0.get(&subject).is_some_and(|directions| directions.covers(direction))
//!     }
//!     fn block(&mut self, entry: Entry) -> Outcome {
//!         let directions = self.0.entry(entry.subject).or_default();
//!         let before = std::mem::replace(directions, *directions | entry.directions);
//!         Outcome::changed_if(before != before | entry.directions)
//!     }
//!     fn unblock(&mut self, entry: Entry) -> Outcome {
//!         let Some(&before) = self.0.get(&entry.subject) else { return Outcome::Unchanged };
//!         let left = before & !entry.directions;
//!         if left.is_none() { self.0.remove(&entry.subject) } else { self.0.insert(entry.subject, left) };
//!         Outcome::changed_if(left != before)
//!     }
//!     fn list(&self, after: Option<Subject>, limit: usize) -> Page {
//!         let from = after.map_or(Some(Subject::MIN), Subject::next);
//!         let rest = from.into_iter().flat_map(|from| self.0.range(from..));
//!         Page::of(rest.map(|(&subject, &directions)| Entry { subject, directions }), limit)
//!     }
//!     fn count(&self) -> u64 {
//!         self.0.len() as u64
//!     }
//! }
//!
//! portcullis_plugin_sdk::export!(Tree);
//!
//! // In a unit test:
//! portcullis_plugin_sdk::conformance::check::<Tree>("{}");
//! ```
//!
//! The contract itself, with all limits and guarantees, is `wit/0.1.0/blacklist.wit`. A plugin may panic: the host
//! sees a trap, throws the instance away and fills another from the ledger.

// So that what the macros expand to finds this crate under its own name, inside it as well as outside.
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

pub mod conformance;
mod contract;
#[allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    reason = "what the macro calls, and nobody else"
)]
mod glue;

pub use contract::{
    Blacklist, Description, Entry, Format, Keyspace, Outcome, Page, Part, Progress, Settings,
};
pub use portcullis_msisdn::{Direction, Directions, Subject};

#[doc(hidden)]
pub use glue::Slot;
#[doc(hidden)]
pub use wit_bindgen;

/// Exports a type that implements [`Blacklist`] as the component's `blacklist` interface.
///
/// Once a crate. The crate's type must be `cdylib`, for `wasm32-unknown-unknown`; built for another target, the macro
/// does no harm, so that the plugin's unit tests run natively.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        const _: () = {
            struct Component;

            ::std::thread_local! {
                // A component is one thread: this is a plain static there.
                static STATE: $crate::Slot<$plugin> = const { $crate::Slot::empty() };
            }

            $crate::__export_guest!(Component, STATE, $plugin);

    $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        };
    };
}
