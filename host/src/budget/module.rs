//! What of a module is needed to know how many values an operator takes and leaves.

use wasmparser::{
    BlockType, CompositeInnerType, ContType, FrameKind, FuncType, Import, ModuleArity, RefType, SubType,
    TypeRef,
};

use super::heights::Frame;

/// The types of a core module, and those of its functions. Stays empty for a component.
#[derive(Default)]
pub(super) struct Module {
    types: Vec<SubType>,
    /// The index of each function's type.
    functions: Vec<u32>,
    /// The function whose body comes next.
    next: usize,
}

impl Module {
    pub(super) fn define(&mut self, defined: SubType) {
        self.types.push(defined);
    }

    pub(super) fn import(&mut self, import: &Import<'_>) {
        if let TypeRef::Func(of) | TypeRef::FuncExact(of) = import.ty {
            self.functions.push(of);
            // Imported functions have no bodies, and come first.
            self.next = self.functions.len();
        }
    }

    pub(super) fn declare(&mut self, of: u32) {
        self.functions.push(of);
    }

    /// The number of functions, imported ones included.
    pub(super) fn functions(&self) -> u64 {
        self.functions.len() as u64
    }

    /// Moves on to the next body. Returns the index of its function, and the number of its parameters.
    pub(super) fn next_body(&mut self) -> (u32, u64) {
        let of = self.functions.get(self.next).copied();
        let index = u32::try_from(self.next).unwrap_or(u32::MAX);
        self.next += 1;
        (index, of.and_then(|of| self.function(of)).map_or(0, |function| function.params().len() as u64))
    }

    fn function(&self, of: u32) -> Option<&FuncType> {
        match &self.types.get(of as usize)?.composite_type.inner {
            CompositeInnerType::Func(function) => Some(function),
            _ => None,
        }
    }

    /// The number of parameters of a block.
    pub(super) fn parameters_of(&self, block: BlockType) -> u64 {
        match block {
            BlockType::FuncType(of) => self.function(of).map_or(0, |function| function.params().len() as u64),
            BlockType::Empty | BlockType::Type(_) => 0,
        }
    }
}

/// A module, and the blocks around a place in one of its functions.
pub(super) struct Place<'a> {
    pub(super) module: &'a Module,
    pub(super) frames: Vec<Frame>,
}

// What is not found is invalid, which the compiler says better.
impl ModuleArity for Place<'_> {
    fn sub_type_at(&self, at: u32) -> Option<&SubType> {
        self.module.types.get(at as usize)
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, at: u32) -> Option<u32> {
        self.module.functions.get(at as usize).copied()
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }

    fn control_stack_height(&self) -> u32 {
        u32::try_from(self.frames.len()).unwrap_or(u32::MAX)
    }

    fn label_block(&self, depth: u32) -> Option<(BlockType, FrameKind)> {
        let frame = self.frames.iter().nth_back(depth as usize)?;
        Some((frame.block, frame.kind))
    }
}
