//! How wide the lanes of each predicate vector are.
//!
//! A comparison gives lanes as wide as its operands'. What is free to choose (loads, constants)
//! takes the width of its first use, so that few masks need to be converted.

use ferroductor_ir::kernel::*;
use ferroductor_ir::verify::Types;
use ferroductor_ir::{DType, Prim};
use std::collections::HashMap;

/// Bytes of a lane, for every value and register of predicate type.
#[derive(Debug, Default)]
pub(super) struct Masks {
    values: HashMap<ValueId, u32>,
    registers: HashMap<RegId, u32>,
}

impl Masks {
    /// A lane's width in bytes.
    pub fn value(&self, id: ValueId) -> u32 {
        self.values.get(&id).copied().unwrap_or(1)
    }

    pub fn register(&self, id: RegId) -> u32 {
        self.registers.get(&id).copied().unwrap_or(1)
    }

    pub fn of_function(function: &Function, types: &Types) -> Masks {
        let ops: Vec<(ValueId, &Op)> = function.code().map(|(id, op)| (*id, op)).collect();
        let mut masks = Masks::default();
        masks.widths_from_operands(&ops, types);
        masks.widths_from_uses(&ops, types);
        masks
    }

    pub fn of_kernel(kernel: &Kernel, types: &Types) -> Masks {
        let mut ops = Vec::new();
        let mut held = Vec::new();
        collect(&kernel.setup, &mut ops, &mut held);
        collect(&kernel.body, &mut ops, &mut held);
        let mut masks = Masks::default();
        masks.widths_from_operands(&ops, types);
        // A register starts as what is free to choose as often as not; what it is set to decides.
        for (register, value) in held {
            if let Some(width) = masks.values.get(&value) {
                masks.registers.entry(register).or_insert(*width);
            }
        }
        for (id, op) in &ops {
            if let Op::Get { id: register } = op
                && types[*id].scalar == DType::Bool
            {
                masks.values.insert(*id, masks.register(*register));
            }
        }
        masks.widths_from_operands(&ops, types);
        masks.widths_from_uses(&ops, types);
        masks
    }

    fn widths_from_operands(&mut self, ops: &[(ValueId, &Op)], types: &Types) {
        for (id, op) in ops {
            if types[*id].scalar != DType::Bool {
                continue;
            }
            let known = |id: &ValueId| self.values.get(id).copied();
            let width = match op {
                Op::Prim { prim, args } if prim.is_comparison() => match types[args[0]].scalar {
                    DType::Bool => args.iter().find_map(known),
                    other => Some(other.size() as u32),
                },
                Op::Prim { args, .. } => args.iter().find_map(known),
                Op::Convert { value, .. } => match types[*value].scalar {
                    DType::Bool => known(value),
                    other => Some(other.compute().size() as u32),
                },
                Op::Shuffle { a, b, .. } => known(a).or_else(|| known(b)),
                Op::Get { .. } => known(id),
                _ => None,
            };
            if let Some(width) = width {
                self.values.insert(*id, width);
            }
        }
    }

    /// What is still open takes the width that its uses ask for, from the last use on.
    fn widths_from_uses(&mut self, ops: &[(ValueId, &Op)], types: &Types) {
        for (id, op) in ops.iter().rev() {
            let ty = types[*id];
            let own = || match ty.scalar {
                DType::Bool => self.values.get(id).copied(),
                other => Some(other.compute().size() as u32),
            };
            let (operands, width): (&[ValueId], _) = match op {
                Op::Prim {
                    prim: Prim::Select,
                    args,
                } if ty.scalar != DType::Bool => (&args[..1], own()),
                Op::Prim { args, .. } => (args, own()),
                Op::Convert { value, .. } => (std::slice::from_ref(value), own()),
                Op::Shuffle { a, .. } => (std::slice::from_ref(a), own()),
                // Half precision and predicates lie in memory as narrow as they are.
                Op::LoadMasked { mask, .. } => {
                    (std::slice::from_ref(mask), Some(ty.scalar.size() as u32))
                }
                _ => continue,
            };
            let Some(width) = width else { continue };
            for operand in operands {
                if types[*operand].scalar == DType::Bool {
                    self.values.entry(*operand).or_insert(width);
                }
            }
        }
    }
}

/// The values, and what registers hold, first values and later ones.
fn collect<'k>(
    block: &'k [Stmt],
    ops: &mut Vec<(ValueId, &'k Op)>,
    held: &mut Vec<(RegId, ValueId)>,
) {
    for stmt in block {
        match stmt {
            Stmt::Let { id, op } => ops.push((*id, op)),
            Stmt::Reg { id, init: value } | Stmt::Set { id, value } => held.push((*id, *value)),
            Stmt::For { body, .. } => collect(body, ops, held),
            Stmt::If {
                then, otherwise, ..
            } => {
                collect(then, ops, held);
                collect(otherwise, ops, held);
            }
            _ => {}
        }
    }
}
