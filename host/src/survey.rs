//! A survey of a component: how much there is of all that is bounded, and where the most of it is.

use std::collections::HashMap;

use wasmparser::{KnownCustom, Name, Parser, Payload};

use crate::bound::Bound;
use crate::budget::{self, Place};
use crate::foreign_text::ForeignText;
use crate::function_name;
use crate::invalid_component::InvalidComponent;
use crate::limits::Limits;
use crate::validate;

/// The most bytes of a function's name that are shown.
const NAME_BYTES: usize = 200;

/// How much of something a component has, and may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// What was counted.
    pub what: &'static str,
    /// How much there is.
    pub found: u64,
    /// How much there may be.
    pub allowed: u64,
    /// The name of the [`Bound`] that allows more. `None` if nothing does.
    pub bound: Option<&'static str>,
    /// The function that has it, if it is one: its name, or else its position. Foreign text, escaped.
    pub place: Option<String>,
}

impl Measure {
    /// Whether it is more than is allowed.
    pub fn is_exceeded(&self) -> bool {
        self.found > self.allowed
    }
}

/// Counts all that is bounded in a component before it is compiled, where [loading](crate::Plugin::load) ends at the first that is
/// exceeded. Reads each byte three times at most, and compiles nothing.
///
/// # Errors
///
/// If it is not a component, is damaged, or imports something other than the [log](crate::Engine::with_log).
pub fn survey(component: &[u8], limits: &Limits) -> Result<Vec<Measure>, InvalidComponent> {
    validate::is_component(component)?;
    let imports = validate::imports(component, true)?;
    let mut measures = vec![measure("bytes of the file", component.len() as u64, None, limits)];
    let found = budget::survey(component)?;
    let places: Vec<Place> = found.iter().filter_map(|&(.., place)| place).collect();
    let names = names(component, &places);
    for (count, found, place) in found {
        let place = place.map(|place| match names.get(&(place.module, place.function)) {
            Some(name) => name.clone(),
            None => format!("function {} of module {}", place.function, place.module),
        });
        let counted = measure(count.what(), found, place, limits);
        measures.push(Measure { allowed: count.limit(&limits.compiling), ..counted });
    }
    match imports.is_empty() {
        true => Ok(measures),
        false => Err(InvalidComponent::Imports(imports)),
    }
}

fn measure(what: &'static str, found: u64, place: Option<String>, limits: &Limits) -> Measure {
    let bound = Bound::ALL.iter().find(|bound| bound.what == what);
    let allowed = bound.map_or(0, |bound| bound.of(limits));
    Measure { what, found, allowed, bound: bound.map(|bound| bound.name), place }
}

/// The names of functions, as far as the modules have them.
fn names(component: &[u8], places: &[Place]) -> HashMap<(u32, u32), String> {
    let mut names = HashMap::new();
    let (mut modules, mut around) = (0, Vec::new());
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::ModuleSection { .. }) => {
                around.push(Some(modules));
                modules += 1;
            }
            Ok(Payload::ComponentSection { .. }) => around.push(None),
            Ok(Payload::End(_)) => drop(around.pop()),
            Ok(Payload::CustomSection(section)) => {
                let (Some(&Some(module)), KnownCustom::Name(sections)) = (around.last(), section.as_known())
                else {
                    continue;
                };
                let functions = sections.into_iter().filter_map(|section| match section {
                    Ok(Name::Function(functions)) => Some(functions),
                    _ => None,
                });
                for named in functions.flatten().flatten() {
                    let place = Place { module, function: named.index };
                    if places.contains(&place) {
                        let name = function_name::readable(named.name);
                        let name = ForeignText(name.as_deref().unwrap_or(named.name)).within(NAME_BYTES);
                        names.insert((module, named.index), name);
                    }
                }
            }
            // It was read to the end before.
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_that_has_the_most_is_named_as_its_author_wrote_it() {
        let text = "(component (core module (func) (func $_ZN3foo3bar17h05af221e174051e9E (block (block)))))";
        let measures = survey(&wat::parse_str(text).unwrap(), &Limits::default()).unwrap();
        let nesting = measures.iter().find(|measure| measure.bound == Some("nesting")).unwrap();
        assert_eq!(nesting.place.as_deref(), Some("foo::bar"));
    }
}
