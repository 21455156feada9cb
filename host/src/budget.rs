//! Bounds on the cost of compiling a component, checked on its bytes before they reach the compiler.
//!
//! A compilation can't be interrupted. Its time is roughly linear in the amount of code, except for a single function
//! with very many blocks, branches, or values that live across them. Each of these has its own bound.

use wasmparser::{BinaryReaderError, CompositeInnerType, FunctionBody, Operator, Parser, Payload, RecGroup};

use crate::validate::InvalidComponent;

/// The most that a component may contain for the compiler to process.
///
/// The defaults allow many times the size of a typical Rust plugin that parses JSON, and bound a compilation to a few
/// seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileBudget {
    /// Total size of all functions in bytes. Default: 4 MiB.
    pub code_bytes: u64,
    /// Size of one function in bytes. Default: 128 KiB. Compilers rarely emit more than 20 KiB.
    pub function_bytes: u64,
    /// Number of functions. Default: 20,000.
    pub functions: u64,
    /// Local variables in one function. Default: 2,000.
    pub locals: u64,
    /// Blocks, loops and branches in one function. Default: 20,000.
    pub branches: u64,
    /// Nesting depth of blocks. Default: 200.
    pub nesting: u64,
    /// Local variables times branches of one function, because each variable may be live across each branch.
    /// Default: 1,000,000.
    pub lives: u64,
    /// Parameters plus results of one function type. Blocks and calls pass them one by one. Default: 64.
    pub signature: u64,
    /// Core modules and components nested in the component. Default: 32.
    pub parts: u64,
    /// Instances that the component creates. The code of each is generated separately. Default: 64.
    pub instances: u64,
}

impl Default for CompileBudget {
    fn default() -> Self {
        CompileBudget {
            code_bytes: 4 << 20,
            function_bytes: 128 << 10,
            functions: 20_000,
            locals: 2000,
            branches: 20_000,
            nesting: 200,
            lives: 1_000_000,
            signature: 64,
            parts: 32,
            instances: 64,
        }
    }
}

/// Running totals.
#[derive(Default)]
struct Found {
    code_bytes: u64,
    functions: u64,
    parts: u64,
    instances: u64,
}

impl CompileBudget {
    /// Counts what the component contains and rejects it if a bound is exceeded. Reads each byte once and compiles
    /// nothing.
    pub(crate) fn check(&self, component: &[u8]) -> Result<(), InvalidComponent> {
        let damaged = |error: BinaryReaderError| InvalidComponent::Damaged(error.to_string());
        let mut found = Found::default();
        for payload in Parser::new(0).parse_all(component) {
            match payload.map_err(damaged)? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                    found.parts += 1;
                    within("modules and components inside it", found.parts, self.parts)?;
                }
                Payload::InstanceSection(section) => {
                    found.instances += u64::from(section.count());
                    within("instances inside it", found.instances, self.instances)?;
                }
                Payload::ComponentInstanceSection(section) => {
                    found.instances += u64::from(section.count());
                    within("instances inside it", found.instances, self.instances)?;
                }
                Payload::TypeSection(section) => {
                    for group in section {
                        self.check_types(&group.map_err(damaged)?)?;
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    found.functions += 1;
                    found.code_bytes += body.range().len() as u64;
                    within("functions", found.functions, self.functions)?;
                    within("bytes of code", found.code_bytes, self.code_bytes)?;
                    self.check_function(&body, damaged)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_types(&self, group: &RecGroup) -> Result<(), InvalidComponent> {
        group.types().try_for_each(|defined| match &defined.composite_type.inner {
            CompositeInnerType::Func(function) => {
                let values = function.params().len() + function.results().len();
                within("parameters and results of one type of function", values as u64, self.signature)
            }
            _ => Ok(()),
        })
    }

    fn check_function(
        &self,
        body: &FunctionBody<'_>,
        damaged: impl Fn(BinaryReaderError) -> InvalidComponent + Copy,
    ) -> Result<(), InvalidComponent> {
        within("bytes of code in one function", body.range().len() as u64, self.function_bytes)?;
        let mut locals = 0_u64;
        for declared in body.get_locals_reader().map_err(damaged)? {
            // Three bytes can declare billions of locals.
            let (count, _) = declared.map_err(damaged)?;
            locals += u64::from(count);
            within("local variables in one function", locals, self.locals)?;
        }
        let (mut branches, mut nesting) = (0_u64, 0_u64);
        let mut operators = body.get_operators_reader().map_err(damaged)?;
        while !operators.eof() {
            match operators.read().map_err(damaged)? {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    branches += 1;
                    nesting += 1;
                }
                Operator::End => nesting = nesting.saturating_sub(1),
                Operator::Br { .. } | Operator::BrIf { .. } | Operator::Else => branches += 1,
                Operator::BrTable { targets } => branches += u64::from(targets.len()) + 1,
                _ => {}
            }
            within("nested blocks", nesting, self.nesting)?;
            within("blocks and branches in one function", branches, self.branches)?;
        }
        within("local variables times branches in one function", locals * branches, self.lives)
    }
}

fn within(what: &'static str, found: u64, limit: u64) -> Result<(), InvalidComponent> {
    if found > limit { Err(InvalidComponent::TooMuch { what, found, limit }) } else { Ok(()) }
}
