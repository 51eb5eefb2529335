//! Places in the arena: buffers whose lives do not overlap share a slot, and so do an operand that
//! dies in a kernel and the result that the kernel may write over it.
//!
//! What must hold: two buffers in one slot are never both between first write and last use, but
//! for such a pair in its kernel; every offset is a multiple of 64.

use crate::aten::Builder;
use crate::error::CompileError;
use crate::overwrite::overlay;
use crate::plan::Launched;
use crate::release::for_each_buffer;
use ferroductor_abi::{BufferId, Dim, Place, Program, Step};
use ferroductor_ir::IExpr;
use std::collections::HashMap;

struct Slot {
    bytes: IExpr,
    /// Last step that uses the present tenant.
    busy_until: usize,
    tenants: Vec<BufferId>,
}

/// Lets the kernel of a step write a result over an operand, if it may.
fn write_over(
    program: &Program,
    kernels: &mut [Launched],
    step: usize,
    result: BufferId,
    operand: Option<&BufferId>,
) -> bool {
    let (Step::Kernel(launch), Some(operand)) = (&program.steps[step], operand) else {
        return false;
    };
    let Some(pair) = overlay(program, launch, kernels, result, *operand) else {
        return false;
    };
    let kernel = &mut kernels[launch.kernel.0 as usize].kernel;
    kernel.params[pair.written as usize].noalias = false;
    true
}

/// Assigns offsets to the buffers and closes the program.
pub fn finish(
    mut builder: Builder<'_>,
    arena: &[BufferId],
    kernels: &mut [Launched],
    hints: &[i64],
) -> Result<Program, CompileError> {
    let lives = lives(&builder.program);
    let hint = |e: &IExpr| {
        e.eval(&|a| match a {
            ferroductor_ir::Atom::Size(s) => hints.get(*s as usize).copied(),
            _ => None,
        })
        .unwrap_or(0)
    };
    let mut slots: Vec<Slot> = Vec::new();
    let mut order: Vec<BufferId> = arena.to_vec();
    order.sort_by_key(|b| lives.get(b).map_or(0, |l| l.0));
    for buffer in order {
        let Some((first, last)) = lives.get(&buffer).copied() else {
            continue;
        };
        let bytes = bytes(&builder, buffer)?;
        let dying = slots.iter_mut().find(|slot| {
            slot.busy_until == first
                && slot.bytes == bytes
                && write_over(
                    &builder.program,
                    kernels,
                    first,
                    buffer,
                    slot.tenants.last(),
                )
        });
        if let Some(slot) = dying {
            slot.busy_until = last;
            slot.tenants.push(buffer);
            continue;
        }
        let free = slots
            .iter()
            .enumerate()
            .filter(|(_, s)| s.busy_until < first && fits(&s.bytes, &bytes))
            .min_by_key(|(_, s)| (hint(&s.bytes) - hint(&bytes)).abs())
            .map(|(at, _)| at);
        match free {
            Some(at) => {
                let slot = &mut slots[at];
                slot.bytes = larger(&slot.bytes, &bytes);
                slot.busy_until = last;
                slot.tenants.push(buffer);
            }
            None => slots.push(Slot {
                bytes,
                busy_until: last,
                tenants: vec![buffer],
            }),
        }
    }
    let mut at = IExpr::zero();
    for slot in &slots {
        let offset = dim(&mut builder, &at)?;
        for tenant in &slot.tenants {
            builder.program.buffers[tenant.0 as usize].place = Place::Arena { offset };
        }
        let padded = &slot.bytes.ceil_div(64) * &IExpr::constant(64);
        at = &at + &padded;
    }
    let total = dim(&mut builder, &at)?;
    builder.program.arena = Some(total);
    builder.finish()
}

fn dim(builder: &mut Builder<'_>, e: &IExpr) -> Result<Dim, CompileError> {
    builder.sizes.dim(e).map_err(|symbol| {
        CompileError::internal("arena", format!("size symbol {} has no value", symbol.0))
    })
}

/// May a slot of this size hold, or grow to hold, that many bytes?
fn fits(slot: &IExpr, bytes: &IExpr) -> bool {
    slot == bytes || slot.as_const().is_some() && bytes.as_const().is_some()
}

fn larger(a: &IExpr, b: &IExpr) -> IExpr {
    match (a.as_const(), b.as_const()) {
        (Some(x), Some(y)) if y > x => b.clone(),
        _ => a.clone(),
    }
}

/// Bytes of a dense buffer as an expression over size symbols.
fn bytes(builder: &Builder<'_>, buffer: BufferId) -> Result<IExpr, CompileError> {
    let info = &builder.program.buffers[buffer.0 as usize];
    let mut bytes = IExpr::constant(i64::from(info.item));
    for d in &info.sizes {
        bytes = &bytes
            * &match d {
                Dim::Const(c) => IExpr::constant(*c),
                Dim::Slot(slot) => builder.sizes.expression(*slot).ok_or_else(|| {
                    CompileError::internal("arena", format!("size slot {slot} has no expression"))
                })?,
            };
    }
    Ok(bytes)
}

/// First and last step of each buffer, uses of its views included.
fn lives(program: &Program) -> HashMap<BufferId, (usize, usize)> {
    let mut lives: HashMap<BufferId, (usize, usize)> = HashMap::new();
    for (at, step) in program.steps.iter().enumerate() {
        for_each_buffer(program, step, &mut |mut buffer| {
            loop {
                let life = lives.entry(buffer).or_insert((at, at));
                life.1 = at;
                match program.buffers[buffer.0 as usize].place {
                    Place::View { of, .. } => buffer = of,
                    _ => break,
                }
            }
        });
    }
    lives
}
