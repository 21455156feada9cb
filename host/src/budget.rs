//! Bounds on what the compiler must process, checked on a component's bytes before they reach it.
//!
//! A cheap first look: each bound has a combination that it does not foresee. What holds is the limits of the
//! [child process](crate::Compiler) that compiles.

mod heights;
mod module;

use wasmparser::{
    BinaryReaderError, CanonicalFunction, CompositeInnerType, FunctionBody, Operator, Parser, Payload,
    RecGroup,
};

use crate::foreign_text::ForeignText;
use crate::invalid_component::InvalidComponent;

use heights::Heights;
use module::Module;

/// The most that a component may contain for the compiler to process.
///
/// The defaults allow many times the size of a typical Rust plugin that parses JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileBudget {
    /// Total size of all functions in bytes. Default: 4 MiB.
    pub code_bytes: u64,
    /// Size of one function in bytes. Default: 128 KiB. Compilers rarely emit more than 20 KiB.
    pub function_bytes: u64,
    /// Number of functions. Default: 20,000.
    pub functions: u64,
    /// Types that modules and components define, not counting those inside a component's types. Default: 4,000. Machine
    /// code is generated for each type of function.
    pub types: u64,
    /// Parameters and local variables of one function. Default: 2,000.
    pub locals: u64,
    /// Values on the stack of one function at the same time. Default: 1,000.
    pub stack: u64,
    /// Blocks, loops and branches in one function. Default: 20,000.
    pub branches: u64,
    /// Nesting depth of blocks. Default: 200.
    pub nesting: u64,
    /// The sum, over the branches of one function, of its variables and the values on its stack, because each may be live
    /// across each branch. Default: 1,000,000.
    pub lives: u64,
    /// Parameters of one function type. Calls pass them one by one. Default: 64.
    pub signature: u64,
    /// Core modules and components nested in the component. Default: 32.
    pub parts: u64,
    /// Instances that the component creates. The code of each is generated separately. Default: 64.
    pub instances: u64,
}

impl CompileBudget {
    /// A budget without bounds, for components that are trusted, or that a [child process](crate::Compiler::Child) compiles
    /// within its own.
    pub const UNLIMITED: Self = CompileBudget {
        code_bytes: u64::MAX,
        function_bytes: u64::MAX,
        functions: u64::MAX,
        types: u64::MAX,
        locals: u64::MAX,
        stack: u64::MAX,
        branches: u64::MAX,
        nesting: u64::MAX,
        lives: u64::MAX,
        signature: u64::MAX,
        parts: u64::MAX,
        instances: u64::MAX,
    };
}

impl Default for CompileBudget {
    fn default() -> Self {
        CompileBudget {
            code_bytes: 4 << 20,
            function_bytes: 128 << 10,
            functions: 20_000,
            types: 4000,
            locals: 2000,
            stack: 1000,
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
    types: u64,
    parts: u64,
    instances: u64,
}

fn damaged(error: BinaryReaderError) -> InvalidComponent {
    InvalidComponent::Damaged(ForeignText(&error.to_string()).to_string())
}

impl CompileBudget {
    /// Counts what the component contains and rejects it if a bound is exceeded. Reads each byte once and compiles
    /// nothing.
    pub(crate) fn check(&self, component: &[u8]) -> Result<(), InvalidComponent> {
        let mut found = Found::default();
        // The component itself, and what is nested in it around the current place.
        let mut around = vec![Module::default()];
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload.map_err(damaged)?;
            match &payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                    around.push(Module::default());
                    found.parts += 1;
                    within("modules and components inside it", found.parts, self.parts)?;
                }
                Payload::End(_) => drop(around.pop()),
                _ => {}
            }
            let Some(module) = around.last_mut() else { continue };
            self.count(payload, &mut found, module)?;
        }
        Ok(())
    }

    fn count(
        &self,
        payload: Payload<'_>,
        found: &mut Found,
        module: &mut Module,
    ) -> Result<(), InvalidComponent> {
        match payload {
            Payload::InstanceSection(section) => found.instances += u64::from(section.count()),
            Payload::ComponentInstanceSection(section) => found.instances += u64::from(section.count()),
            Payload::TypeSection(section) => {
                for group in section {
                    self.check_types(&group.map_err(damaged)?, found, module)?;
                }
            }
            // Counted, and not read: they nest as deeply as their bytes say, and a reader that follows them overflows its
            // stack. That is left to the child process.
            Payload::ComponentTypeSection(section) => found.types += u64::from(section.count()),
            Payload::CoreTypeSection(section) => found.types += u64::from(section.count()),
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    if let CanonicalFunction::Lower { .. } = function.map_err(damaged)? {
                        return Err(InvalidComponent::Composed);
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    module.import(&import.map_err(damaged)?);
                    within("functions", found.functions + module.functions(), self.functions)?;
                }
            }
            Payload::FunctionSection(section) => {
                for function in section {
                    module.declare(function.map_err(damaged)?);
                    within("functions", found.functions + module.functions(), self.functions)?;
                }
            }
            Payload::CodeSectionEntry(body) => {
                found.functions += 1;
                found.code_bytes += body.range().len() as u64;
                within("functions", found.functions, self.functions)?;
                within("bytes of code", found.code_bytes, self.code_bytes)?;
                let parameters = module.next_body();
                self.check_function(&body, parameters, module)?;
            }
            _ => {}
        }
        within("instances inside it", found.instances, self.instances)?;
        within("types", found.types, self.types)
    }

    fn check_types(
        &self,
        group: &RecGroup,
        found: &mut Found,
        module: &mut Module,
    ) -> Result<(), InvalidComponent> {
        for defined in group.types() {
            if let CompositeInnerType::Func(function) = &defined.composite_type.inner {
                within("parameters of one type of function", function.params().len() as u64, self.signature)?;
                within("results of one type of function", function.results().len() as u64, 1)?;
            }
            found.types += 1;
            within("types", found.types, self.types)?;
            module.define(defined.clone());
        }
        Ok(())
    }

    fn check_function(
        &self,
        body: &FunctionBody<'_>,
        parameters: u64,
        module: &Module,
    ) -> Result<(), InvalidComponent> {
        within("bytes of code in one function", body.range().len() as u64, self.function_bytes)?;
        let mut locals = parameters;
        for declared in body.get_locals_reader().map_err(damaged)? {
            // Three bytes can declare billions of locals.
            let (count, _) = declared.map_err(damaged)?;
            locals += u64::from(count);
            within("local variables in one function", locals, self.locals)?;
        }
        let mut heights = Heights::new(module);
        let (mut branches, mut lives) = (0_u64, 0_u64);
        let mut operators = body.get_operators_reader().map_err(damaged)?;
        while !operators.eof() {
            let operator = operators.read().map_err(damaged)?;
            let ways = match &operator {
                Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                    within("parameters of one block", module.parameters_of(*blockty), 0)?;
                    1
                }
                Operator::Br { .. } | Operator::BrIf { .. } | Operator::Else => 1,
                Operator::BrTable { targets } => u64::from(targets.len()) + 1,
                _ => 0,
            };
            branches += ways;
            lives += ways * (locals + heights.now());
            heights.step(&operator);
            within("nested blocks", heights.nesting(), self.nesting)?;
            within("values on the stack of one function", heights.now(), self.stack)?;
            within("blocks and branches in one function", branches, self.branches)?;
            within("variables and values times branches in one function", lives, self.lives)?;
        }
        Ok(())
    }
}

fn within(what: &'static str, found: u64, limit: u64) -> Result<(), InvalidComponent> {
    if found > limit { Err(InvalidComponent::TooMuch { what, found, limit }) } else { Ok(()) }
}
