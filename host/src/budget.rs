//! What compiling a component may cost, counted from its bytes before a compiler sees them.
//!
//! A compiler can't be interrupted. Its time is about linear in what there is to compile, except where one function has very
//! many blocks, values that live across them, or branches: so each of these has a bound of its own.

use wasmparser::{BinaryReaderError, CompositeInnerType, FunctionBody, Operator, Parser, Payload, RecGroup};

use crate::fit::Unfit;

/// What a component may have for a compiler to do.
///
/// The defaults let pass what is many times the size of a plugin in Rust that reads JSON, and keep a compiler busy for some
/// seconds at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileBudget {
    /// Bytes of all functions together: 4 MiB unless set.
    pub code_bytes: u64,
    /// Bytes of one function: 128 KiB unless set. A compiler writes few of more than 20 KiB.
    pub function_bytes: u64,
    /// Functions: 20,000 unless set.
    pub functions: u64,
    /// Local variables of one function: 2,000 unless set.
    pub locals: u64,
    /// Blocks, loops and branches of one function: 20,000 unless set.
    pub branches: u64,
    /// Blocks within one another: 200 unless set.
    pub nesting: u64,
    /// Local variables of one function times its blocks, loops and branches, as each of the ones may live across each of the
    /// others: a million unless set.
    pub lives: u64,
    /// Parameters and results of one type of function, which blocks and calls pass on one by one: 64 unless set.
    pub signature: u64,
    /// Core modules and components inside the component: 32 unless set.
    pub parts: u64,
    /// Instances that it makes of modules and components: 64 unless set. Each is written out anew.
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

/// What was found so far.
#[derive(Default)]
struct Found {
    code_bytes: u64,
    functions: u64,
    parts: u64,
    instances: u64,
}

impl CompileBudget {
    /// Counts, and refuses what is too much. Reads each byte once, and compiles nothing.
    pub(crate) fn check(&self, component: &[u8]) -> Result<(), Unfit> {
        let damaged = |error: BinaryReaderError| Unfit::Damaged(error.to_string());
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

    fn check_types(&self, group: &RecGroup) -> Result<(), Unfit> {
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
        damaged: impl Fn(BinaryReaderError) -> Unfit + Copy,
    ) -> Result<(), Unfit> {
        within("bytes of code in one function", body.range().len() as u64, self.function_bytes)?;
        let mut locals = 0_u64;
        for declared in body.get_locals_reader().map_err(damaged)? {
            // Three bytes can declare billions.
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
            within("blocks within one another", nesting, self.nesting)?;
            within("blocks and branches in one function", branches, self.branches)?;
        }
        within("local variables times branches in one function", locals * branches, self.lives)
    }
}

fn within(what: &'static str, found: u64, limit: u64) -> Result<(), Unfit> {
    if found > limit { Err(Unfit::TooMuch { what, found, limit }) } else { Ok(()) }
}
