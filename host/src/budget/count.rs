//! What is counted of a component, and how much of it there may be.

use super::CompileBudget;
use crate::invalid_component::InvalidComponent;

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    CodeBytes,
    FunctionBytes,
    Functions,
    Types,
    Locals,
    Stack,
    Branches,
    Nesting,
    Lives,
    Parameters,
    Results,
    BlockParameters,
    Parts,
    Instances,
    Calls,
}

impl Count {
    const ALL: [Self; 15] = [
        Count::CodeBytes,
        Count::FunctionBytes,
        Count::Functions,
        Count::Types,
        Count::Locals,
        Count::Stack,
        Count::Branches,
        Count::Nesting,
        Count::Lives,
        Count::Parameters,
        Count::Results,
        Count::BlockParameters,
        Count::Parts,
        Count::Instances,
        Count::Calls,
    ];

    /// What there is so many of, in words.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Count::CodeBytes => "bytes of code",
            Count::FunctionBytes => "bytes of code in one function",
            Count::Functions => "functions",
            Count::Types => "types",
            Count::Locals => "local variables in one function",
            Count::Stack => "values on the stack of one function",
            Count::Branches => "blocks and branches in one function",
            Count::Nesting => "nested blocks",
            Count::Lives => "variables and values times branches in one function",
            Count::Parameters => "parameters of one type of function",
            Count::Results => "results of one type of function",
            Count::BlockParameters => "parameters of one block",
            Count::Parts => "modules and components inside it",
            Count::Instances => "instances inside it",
            Count::Calls => "calls between components inside it",
        }
    }

    /// The most of it. One result and no block parameters, whatever the budget: no multi-value.
    pub(crate) fn limit(self, budget: &CompileBudget) -> u64 {
        match self {
            Count::CodeBytes => budget.code_bytes,
            Count::FunctionBytes => budget.function_bytes,
            Count::Functions => budget.functions,
            Count::Types => budget.types,
            Count::Locals => budget.locals,
            Count::Stack => budget.stack,
            Count::Branches => budget.branches,
            Count::Nesting => budget.nesting,
            Count::Lives => budget.lives,
            Count::Parameters => budget.signature,
            Count::Results => 1,
            Count::BlockParameters => 0,
            Count::Parts => budget.parts,
            Count::Instances => budget.instances,
            Count::Calls => budget.calls,
        }
    }
}

/// A function of a core module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The position of the module among the core modules.
    pub(crate) module: u32,
    /// The function's index in it, imported ones included.
    pub(crate) function: u32,
}

/// What was counted so far.
pub(super) struct Counts {
    limits: [u64; Count::ALL.len()],
    found: [(u64, Option<Place>); Count::ALL.len()],
}

impl Counts {
    /// Counts, and refuses more than the budget has.
    pub(super) fn within(budget: &CompileBudget) -> Self {
        let limits = Count::ALL.map(|count| count.limit(budget));
        Counts { limits, found: [(0, None); Count::ALL.len()] }
    }

    /// Counts, and refuses nothing.
    pub(super) fn all() -> Self {
        Counts { limits: [u64::MAX; Count::ALL.len()], found: [(0, None); Count::ALL.len()] }
    }

    /// There are so many more.
    pub(super) fn add(&mut self, count: Count, more: u64) -> Result<(), InvalidComponent> {
        let found = self.found[count as usize].0.saturating_add(more);
        self.most(count, found, None)
    }

    /// There are so many in one place.
    #[inline]
    pub(super) fn most(
        &mut self,
        count: Count,
        found: u64,
        place: Option<Place>,
    ) -> Result<(), InvalidComponent> {
        let most = &mut self.found[count as usize];
        if found > most.0 {
            *most = (found, place);
        }
        self.at_most(count, found)
    }

    /// There may be so many, which are counted later.
    #[inline]
    pub(super) fn at_most(&self, count: Count, found: u64) -> Result<(), InvalidComponent> {
        let limit = self.limits[count as usize];
        match found > limit {
            true => Err(InvalidComponent::TooMuch { what: count.what(), found, limit }),
            false => Ok(()),
        }
    }

    pub(super) fn into_found(self) -> Vec<(Count, u64, Option<Place>)> {
        let counted = Count::ALL.into_iter().zip(self.found);
        counted.map(|(count, (found, place))| (count, found, place)).collect()
    }
}
