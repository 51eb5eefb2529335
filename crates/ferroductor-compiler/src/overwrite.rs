//! New values of graph inputs, computed in the inputs' own memory.
//!
//! What must hold: from the first write of the new value on, nothing reads the old one, except
//! the kernel that writes it, and that one reads each element before it overwrites it.

use crate::plan::Launched;
use crate::release::for_each_buffer;
use crate::schedule::Overlay;
use ferroductor_abi::{BufferId, Dim, Launch, Place, Program, Step};
use ferroductor_ir::kernel::{Buf, Op, Stmt, visit};
use std::collections::HashMap;

/// Gives `value` the memory of `input`, if that is safe, and drops a copy of the input to itself.
/// All steps but the overwriting of inputs are there.
pub fn in_place(
    program: &mut Program,
    kernels: &mut [Launched],
    value: BufferId,
    input: BufferId,
) -> bool {
    if !alike(program, value, input) {
        return false;
    }
    let touches = |at: &usize, buffer| touches(program, &program.steps[*at], buffer);
    let Some(first) = (0..program.steps.len()).find(|at| touches(at, value)) else {
        return false;
    };
    if (first + 1..program.steps.len()).any(|at| touches(&at, input)) {
        return false;
    }
    if touches(&first, input) {
        let Step::Kernel(launch) = &program.steps[first] else {
            return false;
        };
        let Some(pair) = overlay(program, launch, kernels, value, input) else {
            return false;
        };
        if only_moves(&kernels[launch.kernel.0 as usize], pair) {
            program.steps.remove(first);
        }
    }
    for step in &program.steps {
        if let Step::Kernel(launch) = step {
            let kernel = &mut kernels[launch.kernel.0 as usize].kernel;
            for (param, buffer) in kernel.params.iter_mut().zip(&launch.buffers) {
                param.noalias &= *buffer != value;
            }
        }
    }
    program.buffers[value.0 as usize].place = Place::View {
        of: input,
        offset: Dim::Const(0),
    };
    true
}

/// Is `value` memory of the program's own, and of the input's geometry?
fn alike(program: &Program, value: BufferId, input: BufferId) -> bool {
    let value = &program.buffers[value.0 as usize];
    let input = &program.buffers[input.0 as usize];
    matches!(value.place, Place::Arena { .. })
        && matches!(input.place, Place::Input(_))
        && value.item != 0
        && (value.dtype, value.item) == (input.dtype, input.item)
        && value.sizes == input.sizes
        && value.strides == input.strides
}

/// The buffer whose memory this one is.
fn root(program: &Program, mut buffer: BufferId) -> BufferId {
    while let Place::View { of, .. } = program.buffers[buffer.0 as usize].place {
        buffer = of;
    }
    buffer
}

fn touches(program: &Program, step: &Step, buffer: BufferId) -> bool {
    let mut found = false;
    for_each_buffer(program, step, &mut |b| found |= root(program, b) == buffer);
    found
}

/// The kernel's leave to write one parameter over the other, if each of the two buffers is one of
/// its parameters, once and whole.
pub fn overlay(
    program: &Program,
    launch: &Launch,
    kernels: &[Launched],
    written: BufferId,
    read: BufferId,
) -> Option<Overlay> {
    let only = |buffer: BufferId| {
        let mut all = (0u32..).zip(&launch.buffers);
        let mut of_it = all.by_ref().filter(|(_, b)| root(program, **b) == buffer);
        match (of_it.next(), of_it.next()) {
            (Some((at, b)), None) if *b == buffer => Some(at),
            _ => None,
        }
    };
    let pair = Overlay {
        written: only(written)?,
        read: only(read)?,
    };
    let known = &kernels[launch.kernel.0 as usize].overlays;
    known.contains(&pair).then_some(pair)
}

/// Does the kernel do nothing but store each element where it was loaded?
fn only_moves(launched: &Launched, pair: Overlay) -> bool {
    let kernel = &launched.kernel;
    let mut loaded = HashMap::new();
    let mut moves = kernel.params.len() == 2;
    for block in [&kernel.setup, &kernel.body] {
        visit(block, &mut |stmt| match stmt {
            Stmt::Let {
                id,
                op: Op::Load { buf, index, .. } | Op::LoadMasked { buf, index, .. },
            } if *buf == Buf::Param(pair.read) => {
                loaded.insert(*id, index.clone());
            }
            Stmt::Store { index, value, .. } | Stmt::StoreMasked { index, value, .. } => {
                moves &= loaded.get(value) == Some(index);
            }
            Stmt::Let { .. } | Stmt::For { .. } | Stmt::Prefetch { .. } | Stmt::Comment(_) => {}
            _ => moves = false,
        });
    }
    moves
}
