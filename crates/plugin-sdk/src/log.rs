//! Lines for a plugin's author.

use std::fmt;

/// Shows a line in `portcullis plugin verify`, formatted as by [`format!`].
///
/// Does something only if the crate is built with the feature `log`: then the component imports `portcullis:debug/log@0.1.0`, which only
/// `portcullis plugin verify` offers, and a gateway refuses it. In unit tests the line goes to standard error, with the feature. Without
/// the feature the arguments are evaluated, and nothing else is done: don't compute them at a cost.
///
/// ```
/// portcullis_plugin_sdk::log!("{} entries", 3);
/// ```
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => {
        $crate::log_line(::std::format_args!($($argument)*))
    };
}

#[doc(hidden)]
#[cfg(not(feature = "log"))]
#[inline(always)]
pub fn log_line(_: fmt::Arguments<'_>) {}

#[doc(hidden)]
#[cfg(feature = "log")]
pub fn log_line(line: fmt::Arguments<'_>) {
    match cfg!(target_family = "wasm") {
        true => crate::log_bindings::portcullis::debug::log::line(&line.to_string()),
        false => eprintln!("{line}"),
    }
}
