//! The bounds on loading a component, by name.

use std::time::Duration;

use crate::foreign_text::ForeignText;
use crate::limits::Limits;

/// A bound on what a component may contain, or on what it may take to compile it: the part of [`Limits`] that a plugin in another
/// language or of an unusual size may need more of.
#[derive(Clone, Copy)]
pub struct Bound {
    /// Its name in a configuration.
    pub name: &'static str,
    /// What is bounded, with its unit.
    pub what: &'static str,
    get: fn(&Limits) -> u64,
    set: fn(&mut Limits, u64),
}

/// A bound that is a field of this name.
macro_rules! bound {
    ($name:literal, $what:literal, $($field:ident).+) => {
        Bound {
            name: $name,
            what: $what,
            get: |limits| limits.$($field).+ as u64,
            set: |limits, value| limits.$($field).+ = value.try_into().unwrap_or(limits.$($field).+),
        }
    };
}

impl Bound {
    /// All bounds, in the order in which they are looked at.
    pub const ALL: &[Self] = &[
        bound!("component_bytes", "bytes of the file", component_bytes),
        bound!("code_bytes", "bytes of code", compiling.code_bytes),
        bound!("function_bytes", "bytes of code in one function", compiling.function_bytes),
        bound!("functions", "functions", compiling.functions),
        bound!("types", "types", compiling.types),
        bound!("locals", "local variables in one function", compiling.locals),
        bound!("stack", "values on the stack of one function", compiling.stack),
        bound!("branches", "blocks and branches in one function", compiling.branches),
        bound!("nesting", "nested blocks", compiling.nesting),
        bound!("lives", "variables and values times branches in one function", compiling.lives),
        bound!("parameters", "parameters of one type of function", compiling.signature),
        bound!("parts", "modules and components inside it", compiling.parts),
        bound!("instances", "instances inside it", compiling.instances),
        bound!("calls", "calls between components inside it", compiling.calls),
        Bound {
            name: "compile_seconds",
            what: "seconds of processor time to compile it",
            get: |limits| limits.compiler_time.as_secs(),
            set: |limits, value| {
                limits.compiler_time = Duration::from_secs(value);
                limits.load = limits.compiler_time.saturating_mul(4);
            },
        },
        bound!("compile_memory_bytes", "bytes of memory to compile it", compiler_bytes),
        bound!("compiled_bytes", "bytes of machine code", compiled_bytes),
        bound!("describe_memory_bytes", "bytes of memory while it is loaded", describe_bytes),
        bound!("memories", "linear memories of an instance", memories),
    ];

    /// The bound of this name.
    ///
    /// # Errors
    /// If there is none, with the names that there are.
    pub fn named(name: &str) -> Result<&'static Self, UnknownBound> {
        Self::ALL.iter().find(|bound| bound.name == name).ok_or_else(|| UnknownBound(name.to_owned()))
    }

    /// Its value in `limits`.
    pub fn of(&self, limits: &Limits) -> u64 {
        (self.get)(limits)
    }

    /// Sets it in `limits`. The wall time of loading is four times `compile_seconds`.
    pub fn set(&self, limits: &mut Limits, value: u64) {
        (self.set)(limits, value);
    }
}

/// There is no [`Bound`] of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no limit {}; known are {}", ForeignText(.0), Bound::ALL.iter().map(|bound| bound.name).collect::<Vec<_>>().join(", "))]
pub struct UnknownBound(String);

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_set_alone() {
        for bound in Bound::ALL {
            let mut limits = Limits::default();
            let before = bound.of(&limits);
            bound.set(&mut limits, before + 7);
            assert_eq!(bound.of(&limits), before + 7, "{bound:?}");
            for other in Bound::ALL.iter().filter(|other| other.name != bound.name) {
                assert_eq!(other.of(&limits), other.of(&Limits::default()), "{bound:?} {other:?}");
            }
            assert_eq!(Bound::named(bound.name).unwrap().what, bound.what);
        }
    }
}
