//! Which results of a kernel may be written over one of its operands.
//!
//! What must hold of such a pair: the kernel reads no element of the operand after it has written
//! the result's element in the same place, whatever tile or thread does either. Two facts give
//! that together. At each point of the kernel's axes the operand is read where the result is
//! written ([`same_points`]); and for each point the reads come first ([`reads_come_first`]).

use super::prepare::{Action, Prepared};
use crate::fuse::GroupKind;
use crate::graph::TensorId;
use ferroductor_ir::kernel::*;
use ferroductor_ir::{Atom, IExpr, verify};
use std::collections::HashMap;

/// Positions among a kernel's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlay {
    pub written: u32,
    pub read: u32,
}

/// Every pair of result and operand that may share memory.
pub fn overlays(prepared: &Prepared, buffers: &[TensorId], kernel: &Kernel) -> Vec<Overlay> {
    let mut found = Vec::new();
    for (written, to) in (0u32..).zip(&kernel.params) {
        for (read, from) in (0u32..).zip(&kernel.params) {
            if to.access != Access::Read
                && from.access == Access::Read
                && to.dtype == from.dtype
                && same_points(prepared, buffers[written as usize], buffers[read as usize])
            {
                found.push(Overlay { written, read });
            }
        }
    }
    if found.is_empty() {
        return found;
    }
    let Ok(types) = verify::types(kernel) else {
        return Vec::new();
    };
    found.retain(|pair| reads_come_first(kernel, &types, *pair));
    found
}

/// Is `read` loaded at exactly the points, and from exactly the offsets, where `written` is stored?
///
/// A result's offsets are different at different points, so that each element then belongs to one
/// point, and with it to one iteration of the outer axes, which one tile handles.
fn same_points(prepared: &Prepared, written: TensorId, read: TensorId) -> bool {
    if !matches!(
        prepared.kind,
        GroupKind::Pointwise | GroupKind::Rows | GroupKind::Contract
    ) {
        return false;
    }
    let mut makers = prepared.pieces.iter().filter(|p| p.tensor == written);
    let (Some(maker), None) = (makers.next(), makers.next()) else {
        return false;
    };
    let is_stored_once = matches!(maker.action, Action::Store { .. } | Action::Reduce { .. });
    let operand_of_product = prepared.pieces.iter().any(|p| match &p.action {
        Action::Contract { a, b, .. } => a.tensor == read || b.tensor == read,
        _ => false,
    });
    if !is_stored_once || operand_of_product || !prepared.outer.is_subset(&maker.parallel) {
        return false;
    }
    prepared.pieces.iter().all(|piece| {
        let loads = piece.loads();
        let mut loads = loads.iter().filter(|l| l.tensor == read).peekable();
        loads.peek().is_none()
            || piece.axes() == maker.parallel
                && prepared.outer.is_subset(&piece.parallel)
                && loads.all(|l| l.values.is_empty() && l.index[0] == maker.offset)
    })
}

/// Does the kernel read each element of the one parameter before it writes its place in the other,
/// given that both belong to the same point?
fn reads_come_first(kernel: &Kernel, types: &verify::Types, pair: Overlay) -> bool {
    let mut walk = Walk {
        types,
        read: Buf::Param(pair.read),
        written: Buf::Param(pair.written),
        scope: Vec::new(),
        blocks: 0,
        at: 0,
        bound: HashMap::new(),
        loads: Vec::new(),
        stores: Vec::new(),
        is_plain: true,
    };
    walk.block(&kernel.setup);
    walk.is_plain &= walk.loads.is_empty() && walk.stores.is_empty();
    walk.bound.insert(Atom::Var(TILE.0), walk.blocks);
    walk.block(&kernel.body);
    walk.is_plain && walk.loads.iter().all(|load| walk.is_safe(load))
}

/// Consecutive elements that are loaded or stored.
struct Move {
    index: IExpr,
    width: Width,
    /// Position in the text.
    at: usize,
    /// The blocks it stands in, outermost first.
    scope: Vec<usize>,
}

#[derive(PartialEq, Eq)]
enum Width {
    Lanes(u32),
    Mask(ValueId),
}

struct Walk<'a> {
    types: &'a verify::Types,
    read: Buf,
    written: Buf,
    scope: Vec<usize>,
    /// Blocks entered so far; their numbers.
    blocks: usize,
    at: usize,
    /// The block that gives a loop variable or an index value its meaning.
    bound: HashMap<Atom, usize>,
    loads: Vec<Move>,
    stores: Vec<Move>,
    /// Is every access to the two of a kind that can be followed?
    is_plain: bool,
}

impl Walk<'_> {
    fn block(&mut self, block: &Block) {
        self.scope.push(self.blocks);
        self.blocks += 1;
        for stmt in block {
            self.at += 1;
            match stmt {
                Stmt::Let { id, op } => self.define(*id, op),
                Stmt::For { var, body, .. } => {
                    self.bound.insert(Atom::Var(var.0), self.blocks);
                    self.block(body);
                }
                Stmt::If {
                    then, otherwise, ..
                } => {
                    self.block(then);
                    self.block(otherwise);
                }
                Stmt::Store { buf, index, value } if *buf == self.written => {
                    let lanes = self.types.value(*value).map_or(0, |ty| ty.lanes);
                    self.stores.push(self.found(index, Width::Lanes(lanes)));
                }
                Stmt::StoreMasked {
                    buf, index, mask, ..
                } if *buf == self.written => {
                    self.stores.push(self.found(index, Width::Mask(*mask)));
                }
                Stmt::Stream { buf, .. } | Stmt::Scatter { buf, .. } => {
                    self.is_plain &= *buf != self.written;
                }
                _ => {}
            }
        }
        self.scope.pop();
    }

    fn define(&mut self, id: ValueId, op: &Op) {
        if let Some(block) = self.scope.last() {
            self.bound.insert(Atom::Value(id.0), *block);
        }
        match op {
            Op::Load { buf, index, lanes } if *buf == self.read => {
                self.loads.push(self.found(index, Width::Lanes(*lanes)));
            }
            Op::LoadMasked { buf, index, mask } if *buf == self.read => {
                self.loads.push(self.found(index, Width::Mask(*mask)));
            }
            Op::LoadStrided { buf, .. } | Op::Gather { buf, .. } => {
                self.is_plain &= *buf != self.read && *buf != self.written;
            }
            Op::Load { buf, .. } | Op::LoadMasked { buf, .. } => {
                self.is_plain &= *buf != self.written;
            }
            _ => {}
        }
    }

    fn found(&self, index: &IExpr, width: Width) -> Move {
        Move {
            index: index.clone(),
            width,
            at: self.at,
            scope: self.scope.clone(),
        }
    }

    /// A load is safe if its elements are stored later in the same block, for an element is stored
    /// once; or if no store stands in its block or before it, and the loops around both go through
    /// their elements alike, so that an iteration reads what it will write itself.
    fn is_safe(&self, load: &Move) -> bool {
        let overwrites = |s: &Move| {
            s.scope == load.scope
                && s.at > load.at
                && s.index == load.index
                && s.width == load.width
        };
        self.stores.iter().any(overwrites)
            || self.stores.iter().all(|s| {
                let shared = load.scope.iter().zip(&s.scope);
                let shared: Vec<usize> = shared
                    .take_while(|(a, b)| a == b)
                    .map(|(a, _)| *a)
                    .collect();
                let outer = self.outer_part(&load.index, &shared);
                s.at > load.at
                    && s.scope != load.scope
                    && outer.is_some()
                    && outer == self.outer_part(&s.index, &shared)
            })
    }

    /// The terms over variables of the shared blocks; `None` if a term mixes them with others.
    fn outer_part(&self, index: &IExpr, shared: &[usize]) -> Option<Vec<(Vec<Atom>, i64)>> {
        let mut part = Vec::new();
        for (atoms, factor) in index.terms() {
            let mut is_outer = false;
            let mut is_inner = false;
            for atom in atoms {
                match atom {
                    Atom::Size(_) => {}
                    Atom::Var(_) | Atom::Value(_) => {
                        let block = self.bound.get(atom)?;
                        is_outer |= shared.contains(block);
                        is_inner |= !shared.contains(block);
                    }
                    _ => return None,
                }
            }
            if is_outer && is_inner {
                return None;
            }
            if is_outer {
                part.push((atoms.clone(), *factor));
            }
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferroductor_ir::text::parse;

    /// May `p1` be written over `p0`, given that both are used at the same points?
    fn first(body: &str) -> bool {
        let kernel = parse(&format!(
            "kernel k {{
               param p0 x: f32 read
               param p1 y: f32 readwrite noalias
               tiles 4
               body {{ {body} }}
             }}"
        ))
        .unwrap();
        reads_come_first(
            &kernel,
            &verify::types(&kernel).unwrap(),
            Overlay {
                written: 1,
                read: 0,
            },
        )
    }

    #[test]
    fn an_element_is_read_before_its_place_is_written() {
        assert!(first(
            "for i1 in 0..64 step 32 {
               %0 = load x16 p0[64*i0 + i1]
               store p1[64*i0 + i1] = %0
               %1 = load x16 p0[64*i0 + i1 + 16]
               store p1[64*i0 + i1 + 16] = %1
             }
             for i2 in 64..67 {
               %2 = load x1 p0[64*i0 + i2]
               store p1[64*i0 + i2] = %2
             }"
        ));
    }

    #[test]
    fn whole_rows_are_read_before_they_are_written() {
        assert!(first(
            "for i1 in 0..4 {
               for i2 in 0..64 step 16 {
                 %0 = load x16 p0[i0*256 + i1*64 + i2]
               }
               for i3 in 0..64 step 16 {
                 %1 = const f32x16 0.0
                 store p1[i0*256 + i1*64 + i3] = %1
               }
             }"
        ));
    }

    #[test]
    fn a_read_after_the_write_forbids_it() {
        assert!(!first(
            "for i1 in 0..64 step 16 {
               %0 = const f32x16 0.0
               store p1[i1] = %0
               %1 = load x16 p0[i1]
             }"
        ));
        assert!(!first(
            "for i1 in 0..64 step 16 {
               %0 = const f32x16 0.0
               store p1[i1] = %0
             }
             for i2 in 0..64 step 16 {
               %1 = load x16 p0[i2]
             }"
        ));
    }

    #[test]
    fn the_neighbour_of_the_next_iteration_forbids_it() {
        assert!(!first(
            "for i1 in 16..64 step 16 {
               %0 = load x16 p0[i1 - 16]
               %1 = load x16 p0[i1]
               store p1[i1] = %1
             }"
        ));
    }

    #[test]
    fn rows_of_another_iteration_forbid_it() {
        assert!(!first(
            "for i1 in 0..4 {
               for i2 in 0..64 step 16 {
                 %0 = load x16 p0[i1*32 + i2]
               }
               for i3 in 0..64 step 16 {
                 %1 = const f32x16 0.0
                 store p1[i1*64 + i3] = %1
               }
             }"
        ));
    }

    #[test]
    fn half_a_vector_written_leaves_the_other_half() {
        assert!(!first(
            "for i1 in 0..64 step 8 {
               %0 = load x16 p0[i1]
               %1 = const f32x8 0.0
               store p1[i1] = %1
               %2 = load x16 p0[i1]
               store p1[i1] = %1
             }"
        ));
    }

    #[test]
    fn what_cannot_be_followed_forbids_it() {
        assert!(!first(
            "%0 = load x4 p0[0 by 1]
             %1 = const f32x4 0.0
             store p1[0] = %1"
        ));
        assert!(!first(
            "%0 = load x4 p0[0]
             %1 = load x4 p1[0]
             store p1[0] = %0"
        ));
    }
}
