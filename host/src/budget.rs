//! Bounds on what the compiler must process, checked on a component's bytes before they reach it.
//!
//! A cheap first look: each bound has a combination that it does not foresee. What holds is the limits of the
//! [child process](crate::Compiler) that compiles.

mod count;
mod heights;
mod module;
mod weight;

use wasmparser::{
    BinaryReaderError, CanonicalFunction, CompositeInnerType, FunctionBody, Operator, Parser, Payload,
    RecGroup,
};

use crate::foreign_text::ForeignText;
use crate::invalid_component::InvalidComponent;

use count::Counts;
pub(crate) use count::{Count, Place};
use heights::Heights;
use module::Module;
use weight::Shape;

/// The most that a component may contain for the compiler to process.
///
/// The defaults allow many times the size of a typical Rust plugin that parses JSON, and a JavaScript plugin with the
/// QuickJS interpreter in it.
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
    /// Nesting depth of blocks. Default: 400. The interpreter loop of QuickJS has 281.
    pub nesting: u64,
    /// The sum, over the branches of one function, of its variables and the values on its stack, because each may be live
    /// across each branch. Default: 1,000,000.
    pub lives: u64,
    /// Parameters of one function type. Calls pass them one by one. Default: 64.
    pub signature: u64,
    /// Core modules and components nested in the component. Default: 64.
    pub parts: u64,
    /// Instances that the component creates, each as often as it is created. The code of each is generated separately.
    /// Default: 128.
    pub instances: u64,
    /// Functions that components inside it call of each other, each as often as its caller is instantiated: an adapter is
    /// compiled for each. Default: 256.
    pub calls: u64,
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
        calls: u64::MAX,
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
            nesting: 400,
            lives: 1_000_000,
            signature: 64,
            parts: 64,
            instances: 128,
            calls: 256,
        }
    }
}

fn damaged(error: BinaryReaderError) -> InvalidComponent {
    InvalidComponent::Damaged(ForeignText(&error.to_string()).to_string())
}

/// Counts what the component contains and rejects it if a bound is exceeded. Reads each byte once and compiles nothing.
pub(crate) fn check(component: &[u8], budget: &CompileBudget) -> Result<(), InvalidComponent> {
    Look { counts: Counts::within(budget), around: Vec::new(), modules: 0 }.at(component).map(drop)
}

/// Counts what the component contains, all of it: the most of each, and where.
pub(crate) fn survey(component: &[u8]) -> Result<Vec<(Count, u64, Option<Place>)>, InvalidComponent> {
    Look { counts: Counts::all(), around: Vec::new(), modules: 0 }.at(component).map(Counts::into_found)
}

/// A look at a component.
struct Look {
    counts: Counts,
    /// The component itself, and what is nested in it around the current place.
    around: Vec<Part>,
    /// The core modules that were seen.
    modules: u32,
}

/// A component or core module.
#[derive(Default)]
struct Part {
    module: Module,
    shape: Shape,
    /// The position among the core modules, if it is one.
    number: Option<u32>,
}

impl Look {
    fn at(mut self, component: &[u8]) -> Result<Counts, InvalidComponent> {
        self.around.push(Part::default());
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload.map_err(damaged)?;
            match &payload {
                Payload::ModuleSection { .. } => {
                    self.counts.add(Count::Parts, 1)?;
                    self.around.push(Part { number: Some(self.modules), ..Part::default() });
                    self.modules += 1;
                }
                Payload::ComponentSection { .. } => {
                    self.counts.add(Count::Parts, 1)?;
                    self.around.push(Part::default());
                }
                Payload::End(_) => {
                    if let (Some(Part { shape, number: None, .. }), Some(outer)) =
                        (self.around.pop(), self.around.last_mut())
                    {
                        outer.shape.define(shape.weight());
                    }
                }
                _ => {}
            }
            self.count(payload)?;
        }
        Ok(self.counts)
    }

    fn count(&mut self, payload: Payload<'_>) -> Result<(), InvalidComponent> {
        match payload {
            Payload::InstanceSection(section) => {
                self.counts.add(Count::Instances, u64::from(section.count()))?;
                self.weigh(|shape, _| {
                    shape.create(u64::from(section.count()));
                    Ok(())
                })
            }
            Payload::ComponentInstanceSection(section) => {
                self.counts.add(Count::Instances, u64::from(section.count()))?;
                self.weigh(|shape, _| shape.instantiate(section))
            }
            Payload::ComponentAliasSection(section) => self.weigh(|shape, outer| shape.alias(section, outer)),
            Payload::ComponentImportSection(section) => self.weigh(|shape, _| shape.import(section)),
            Payload::ComponentExportSection(section) => self.weigh(|shape, _| shape.export(section)),
            Payload::ComponentCanonicalSection(section) => {
                let mut calls = 0;
                for function in section {
                    calls += u64::from(matches!(function.map_err(damaged)?, CanonicalFunction::Lower { .. }));
                }
                self.counts.add(Count::Calls, calls)?;
                self.weigh(|shape, _| {
                    shape.call(calls);
                    Ok(())
                })
            }
            Payload::TypeSection(section) => {
                for group in section {
                    self.check_types(&group.map_err(damaged)?)?;
                }
                Ok(())
            }
            // Counted, and not read: they nest as deeply as their bytes say, and a reader that follows them overflows its
            // stack. That is left to the child process.
            Payload::ComponentTypeSection(section) => {
                self.counts.add(Count::Types, u64::from(section.count()))
            }
            Payload::CoreTypeSection(section) => self.counts.add(Count::Types, u64::from(section.count())),
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(damaged)?;
                    self.declare(|module| module.import(&import))?;
                }
                Ok(())
            }
            Payload::FunctionSection(section) => {
                for function in section {
                    let function = function.map_err(damaged)?;
                    self.declare(|module| module.declare(function))?;
                }
                Ok(())
            }
            Payload::CodeSectionEntry(body) => {
                self.counts.add(Count::Functions, 1)?;
                self.counts.add(Count::CodeBytes, body.range().len() as u64)?;
                let Some(Part { module, number, .. }) = self.around.last_mut() else { return Ok(()) };
                let (index, parameters) = module.next_body();
                let place = Place { module: number.unwrap_or_default(), function: index };
                check_function(&body, parameters, module, place, &mut self.counts)
            }
            _ => Ok(()),
        }
    }

    /// Adds to what the component around the current place creates, and counts that of the outermost one.
    fn weigh(
        &mut self,
        add: impl FnOnce(&mut Shape, &dyn Fn(u32, u32) -> weight::Known) -> Result<(), InvalidComponent>,
    ) -> Result<(), InvalidComponent> {
        let Some((Part { shape, .. }, outer)) = self.around.split_last_mut() else { return Ok(()) };
        add(shape, &|count, index| {
            let at = (outer.len() as u64).checked_sub(u64::from(count));
            let component = at.and_then(|at| outer.get(usize::try_from(at).ok()?));
            component.and_then(|component| component.shape.component(index))
        })?;
        if outer.is_empty() {
            let weight = shape.weight();
            self.counts.most(Count::Instances, weight.instances, None)?;
            self.counts.most(Count::Calls, weight.calls, None)?;
        }
        Ok(())
    }

    fn declare(&mut self, declare: impl FnOnce(&mut Module)) -> Result<(), InvalidComponent> {
        let Some(Part { module, .. }) = self.around.last_mut() else { return Ok(()) };
        declare(module);
        let declared = module.functions();
        self.counts.at_most(Count::Functions, declared)
    }

    fn check_types(&mut self, group: &RecGroup) -> Result<(), InvalidComponent> {
        for defined in group.types() {
            if let CompositeInnerType::Func(function) = &defined.composite_type.inner {
                self.counts.most(Count::Parameters, function.params().len() as u64, None)?;
                self.counts.most(Count::Results, function.results().len() as u64, None)?;
            }
            self.counts.add(Count::Types, 1)?;
            if let Some(Part { module, .. }) = self.around.last_mut() {
                module.define(defined.clone());
            }
        }
        Ok(())
    }
}

fn check_function(
    body: &FunctionBody<'_>,
    parameters: u64,
    module: &Module,
    place: Place,
    counts: &mut Counts,
) -> Result<(), InvalidComponent> {
    let mut most = |count, found| counts.most(count, found, Some(place));
    most(Count::FunctionBytes, body.range().len() as u64)?;
    let mut locals = parameters;
    for declared in body.get_locals_reader().map_err(damaged)? {
        // Three bytes can declare billions of locals.
        let (count, _) = declared.map_err(damaged)?;
        locals = locals.saturating_add(u64::from(count));
        most(Count::Locals, locals)?;
    }
    let mut heights = Heights::new(module);
    let (mut branches, mut lives) = (0_u64, 0_u64);
    let mut operators = body.get_operators_reader().map_err(damaged)?;
    while !operators.eof() {
        let operator = operators.read().map_err(damaged)?;
        let ways = match &operator {
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                most(Count::BlockParameters, module.parameters_of(*blockty))?;
                1
            }
            Operator::Br { .. } | Operator::BrIf { .. } | Operator::Else => 1,
            Operator::BrTable { targets } => u64::from(targets.len()) + 1,
            _ => 0,
        };
        branches += ways;
        lives = lives.saturating_add(ways.saturating_mul(locals.saturating_add(heights.now())));
        heights.step(&operator);
        most(Count::Nesting, heights.nesting())?;
        most(Count::Stack, heights.now())?;
        most(Count::Branches, branches)?;
        most(Count::Lives, lives)?;
    }
    Ok(())
}
