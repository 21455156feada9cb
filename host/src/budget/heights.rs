//! How many values are on a function's stack.

use wasmparser::{BlockType, FrameKind, ModuleArity as _, Operator};

use super::module::{Module, Place};

/// A block around the current place.
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    pub(super) block: BlockType,
    /// The values on the stack below it.
    below: u64,
}

/// Follows the operators of a function. In code that is never reached, the height may be too low.
pub(super) struct Heights<'a> {
    place: Place<'a>,
    height: u64,
}

impl<'a> Heights<'a> {
    pub(super) fn new(module: &'a Module) -> Self {
        Heights { place: Place { module, frames: Vec::new() }, height: 0 }
    }

    /// The number of values.
    pub(super) fn now(&self) -> u64 {
        self.height
    }

    /// The number of blocks around the current place.
    pub(super) fn nesting(&self) -> u64 {
        self.place.frames.len() as u64
    }

    /// Moves past an operator.
    pub(super) fn step(&mut self, operator: &Operator<'_>) {
        match *operator {
            Operator::Block { blockty } => self.enter(FrameKind::Block, blockty, 0),
            Operator::Loop { blockty } => self.enter(FrameKind::Loop, blockty, 0),
            Operator::If { blockty } => self.enter(FrameKind::If, blockty, 1),
            Operator::Else => {
                if let Some(frame) = self.place.frames.last() {
                    self.height = frame.below + self.place.module.parameters_of(frame.block);
                }
            }
            Operator::End => {
                if let Some(frame) = self.place.frames.pop() {
                    let results = self.place.block_type_arity(frame.block).map_or(0, |(_, results)| results);
                    self.height = frame.below + u64::from(results);
                }
            }
            Operator::Unreachable | Operator::Return | Operator::Br { .. } | Operator::BrTable { .. } => {
                self.height = self.below();
            }
            _ => {
                let (taken, left) = operator.operator_arity(&self.place).unwrap_or((0, 0));
                self.height =
                    self.height.saturating_sub(u64::from(taken)).max(self.below()) + u64::from(left);
            }
        }
    }

    fn below(&self) -> u64 {
        self.place.frames.last().map_or(0, |frame| frame.below)
    }

    fn enter(&mut self, kind: FrameKind, block: BlockType, condition: u64) {
        let taken = condition + self.place.module.parameters_of(block);
        let below = self.height.saturating_sub(taken).max(self.below());
        self.height = below + self.place.module.parameters_of(block);
        self.place.frames.push(Frame { kind, block, below });
    }
}
