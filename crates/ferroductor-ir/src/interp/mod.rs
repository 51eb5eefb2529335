//! The reference interpreter of the loop IR: the meaning of a kernel, bit by bit.
//!
//! Slow, simple and total: every access is checked against its buffer, and a kernel that leaves
//! its buffers is an error, never undefined behaviour. The emitters are tested against it.
//! Local arrays start filled with [`POISON`] (a NaN of every float type), so that a kernel that
//! reads what it never wrote shows.

pub mod scalar;

use crate::dtype::DType;
use crate::index::{Atom, IExpr};
use crate::kernel::*;
use crate::prim::{Prim, Scalar};
use crate::verify::{self, Types, VerifyError};
use std::fmt;

/// The byte that fills local arrays at the start of a call.
pub const POISON: u8 = 0xff;

/// Why a kernel could not be run to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterpError {
    Verify(VerifyError),
    /// Not one buffer for each parameter.
    BufferCount {
        expected: usize,
        found: usize,
    },
    /// Not one size for each entry of the kernel's size table.
    SizeCount {
        expected: usize,
        found: usize,
    },
    /// The length of a local array is negative or does not evaluate.
    Local(IExpr),
    /// An index expression that divides by zero.
    Index(IExpr),
    /// The element lies outside the buffer.
    OutOfBounds {
        buf: Buf,
        element: i64,
        elements: usize,
    },
}

impl fmt::Display for InterpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InterpError::Verify(error) => write!(f, "{error}"),
            InterpError::BufferCount { expected, found } => {
                write!(f, "{found} buffers for {expected} parameters")
            }
            InterpError::SizeCount { expected, found } => {
                write!(f, "{found} sizes for a size table of {expected}")
            }
            InterpError::Local(e) => write!(f, "length `{e}` of a local array has no value"),
            InterpError::Index(e) => write!(f, "index `{e}` has no value"),
            InterpError::OutOfBounds {
                buf,
                element,
                elements,
            } => {
                write!(f, "element {element} of {buf:?}, which has {elements}")
            }
        }
    }
}

impl std::error::Error for InterpError {}

impl From<VerifyError> for InterpError {
    fn from(error: VerifyError) -> InterpError {
        InterpError::Verify(error)
    }
}

/// Runs tiles `begin..end` of the kernel on `buffers` (the parameters' memory, by position) and
/// `sizes` (the size table). Gives what the compiled kernel would return: 0, or the code of the
/// first failed check.
pub fn run(
    kernel: &Kernel,
    buffers: &mut [&mut [u8]],
    sizes: &[i64],
    begin: i64,
    end: i64,
) -> Result<u32, InterpError> {
    Interpreter::new(kernel)?.run(buffers, sizes, begin, end)
}

/// A verified kernel, ready to be run several times.
pub struct Interpreter<'k> {
    kernel: &'k Kernel,
    types: Types,
    values: Slots,
    registers: Slots,
    functions: Vec<(Types, Slots)>,
}

/// Where the lanes of each id lie in a flat array.
struct Slots {
    begin: Vec<usize>,
    total: usize,
}

impl Slots {
    fn of(lanes: impl Iterator<Item = usize>) -> Slots {
        let mut total = 0;
        let begin = lanes
            .map(|n| {
                total += n;
                total - n
            })
            .collect();
        Slots { begin, total }
    }

    fn of_values(types: &Types) -> Slots {
        let count = types.value_count() as u32;
        Slots::of((0..count).map(|id| types.value(ValueId(id)).map_or(0, |t| t.lanes as usize)))
    }

    fn of_registers(types: &Types) -> Slots {
        let count = types.register_count() as u32;
        Slots::of((0..count).map(|id| types.register(RegId(id)).map_or(0, |t| t.lanes as usize)))
    }
}

/// How a statement ended.
enum Flow {
    Next,
    /// A check failed with this code.
    Failed(u32),
}

impl<'k> Interpreter<'k> {
    /// Verifies the kernel.
    pub fn new(kernel: &'k Kernel) -> Result<Interpreter<'k>, VerifyError> {
        let types = verify::types(kernel)?;
        let functions = kernel
            .functions
            .iter()
            .map(|f| {
                let types = verify::function_types(f)?;
                let slots = Slots::of_values(&types);
                Ok((types, slots))
            })
            .collect::<Result<_, VerifyError>>()?;
        Ok(Interpreter {
            kernel,
            values: Slots::of_values(&types),
            registers: Slots::of_registers(&types),
            types,
            functions,
        })
    }

    /// See [`run`].
    pub fn run(
        &self,
        buffers: &mut [&mut [u8]],
        sizes: &[i64],
        begin: i64,
        end: i64,
    ) -> Result<u32, InterpError> {
        let kernel = self.kernel;
        if buffers.len() != kernel.params.len() {
            let (expected, found) = (kernel.params.len(), buffers.len());
            return Err(InterpError::BufferCount { expected, found });
        }
        if sizes.len() != kernel.size_count as usize {
            let (expected, found) = (kernel.size_count as usize, sizes.len());
            return Err(InterpError::SizeCount { expected, found });
        }
        let mut machine = Machine {
            code: self,
            buffers,
            locals: locals(kernel, sizes)?,
            sizes,
            vars: Vec::new(),
            values: vec![0; self.values.total],
            registers: vec![0; self.registers.total],
            functions: self
                .functions
                .iter()
                .map(|(_, slots)| vec![0; slots.total])
                .collect(),
        };
        if let Flow::Failed(code) = machine.block(&kernel.setup)? {
            return Ok(code);
        }
        for tile in begin..end {
            machine.set_var(TILE, tile);
            if let Flow::Failed(code) = machine.block(&kernel.body)? {
                return Ok(code);
            }
        }
        Ok(0)
    }
}

/// The poisoned local arrays.
fn locals(kernel: &Kernel, sizes: &[i64]) -> Result<Vec<Vec<u8>>, InterpError> {
    let of_size = |atom: &Atom| match atom {
        Atom::Size(s) => sizes.get(*s as usize).copied(),
        _ => None,
    };
    let bytes = |local: &Local| {
        let elements = usize::try_from(local.elements.eval(&of_size)?).ok()?;
        elements.checked_mul(local.dtype.size())
    };
    let make = |local: &Local| match bytes(local) {
        Some(bytes) => Ok(vec![POISON; bytes]),
        None => Err(InterpError::Local(local.elements.clone())),
    };
    kernel.locals.iter().map(make).collect()
}

/// The state of one call.
struct Machine<'r, 'k, 'b> {
    code: &'r Interpreter<'k>,
    buffers: &'r mut [&'b mut [u8]],
    locals: Vec<Vec<u8>>,
    sizes: &'r [i64],
    vars: Vec<i64>,
    values: Vec<u64>,
    registers: Vec<u64>,
    /// Frames of the functions; they do not call each other.
    functions: Vec<Vec<u64>>,
}

impl Machine<'_, '_, '_> {
    fn set_var(&mut self, var: VarId, value: i64) {
        let at = var.0 as usize;
        if self.vars.len() <= at {
            self.vars.resize(at + 1, 0);
        }
        self.vars[at] = value;
    }

    fn block(&mut self, block: &[Stmt]) -> Result<Flow, InterpError> {
        for stmt in block {
            if let Flow::Failed(code) = self.statement(stmt)? {
                return Ok(Flow::Failed(code));
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, stmt: &Stmt) -> Result<Flow, InterpError> {
        match stmt {
            Stmt::Let { id, op } => self.define(*id, op)?,
            Stmt::For {
                var,
                begin,
                end,
                step,
                body,
            } => {
                let (mut at, end) = (self.index(begin)?, self.index(end)?);
                while at < end {
                    self.set_var(*var, at);
                    if let Flow::Failed(code) = self.block(body)? {
                        return Ok(Flow::Failed(code));
                    }
                    // Past the largest integer there is nothing left below `end`.
                    at = at.saturating_add(*step);
                }
            }
            Stmt::If {
                cond,
                then,
                otherwise,
            } => {
                let chosen = if self.lanes(*cond)[0] != 0 {
                    then
                } else {
                    otherwise
                };
                return self.block(chosen);
            }
            Stmt::Reg { id, init: value } | Stmt::Set { id, value } => {
                let lanes = self.lanes(*value).to_vec();
                let at = self.code.registers.begin[id.0 as usize];
                self.registers[at..at + lanes.len()].copy_from_slice(&lanes);
            }
            Stmt::Store { buf, index, value } | Stmt::Stream { buf, index, value } => {
                let first = self.index(index)?;
                for (lane, bits) in self.lanes(*value).to_vec().into_iter().enumerate() {
                    self.store(*buf, first.wrapping_add(lane as i64), bits)?;
                }
            }
            Stmt::StoreMasked {
                buf,
                index,
                value,
                mask,
            } => {
                let first = self.index(index)?;
                let mask = self.lanes(*mask).to_vec();
                for (lane, bits) in self.lanes(*value).to_vec().into_iter().enumerate() {
                    if mask[lane] != 0 {
                        self.store(*buf, first.wrapping_add(lane as i64), bits)?;
                    }
                }
            }
            Stmt::Scatter { buf, index, value } => {
                let at = self.lanes(*index).to_vec();
                for (at, bits) in at.into_iter().zip(self.lanes(*value).to_vec()) {
                    self.store(*buf, at as i64, bits)?;
                }
            }
            Stmt::Fail { cond, code } => {
                if self.lanes(*cond)[0] != 0 {
                    return Ok(Flow::Failed(*code));
                }
            }
            // The index is still one that must be defined.
            Stmt::Prefetch { index, .. } => {
                self.index(index)?;
            }
            Stmt::Comment(_) => {}
        }
        Ok(Flow::Next)
    }

    fn lanes(&self, id: ValueId) -> &[u64] {
        let at = self.code.values.begin[id.0 as usize];
        &self.values[at..at + self.code.types[id].lanes as usize]
    }

    fn index(&self, expr: &IExpr) -> Result<i64, InterpError> {
        let value = expr.eval(&|atom| match atom {
            Atom::Size(s) => self.sizes.get(*s as usize).copied(),
            Atom::Var(v) => self.vars.get(*v as usize).copied(),
            Atom::Value(v) => Some(self.lanes(ValueId(*v))[0] as i64),
            _ => None,
        });
        value.ok_or_else(|| InterpError::Index(expr.clone()))
    }

    fn define(&mut self, id: ValueId, op: &Op) -> Result<(), InterpError> {
        let lanes = self.evaluate(op)?;
        let at = self.code.values.begin[id.0 as usize];
        self.values[at..at + lanes.len()].copy_from_slice(&lanes);
        Ok(())
    }

    fn evaluate(&mut self, op: &Op) -> Result<Vec<u64>, InterpError> {
        Ok(match op {
            Op::Index { expr } => vec![self.index(expr)? as u64],
            Op::Ramp {
                base,
                stride,
                lanes,
            } => self
                .ramp(base, stride, *lanes)?
                .map(|at| at as u64)
                .collect(),
            Op::Get { id } => {
                let at = self.code.registers.begin[id.0 as usize];
                let lanes = self.code.types[*id].lanes as usize;
                self.registers[at..at + lanes].to_vec()
            }
            Op::Load { buf, index, lanes } => {
                let at = self.ramp(index, &IExpr::one(), *lanes)?;
                self.load_each(*buf, at)?
            }
            Op::LoadMasked { buf, index, mask } => {
                let first = self.index(index)?;
                let mask = self.lanes(*mask).iter().enumerate();
                mask.map(|(lane, holds)| match holds {
                    0 => Ok(0),
                    _ => self.load_one(*buf, first.wrapping_add(lane as i64)),
                })
                .collect::<Result<_, _>>()?
            }
            Op::LoadStrided {
                buf,
                index,
                stride,
                lanes,
            } => {
                let at = self.ramp(index, stride, *lanes)?;
                self.load_each(*buf, at)?
            }
            Op::Gather { buf, index } => {
                self.load_each(*buf, self.lanes(*index).iter().map(|at| *at as i64))?
            }
            Op::Prim { prim, args } if !prim.is_basic() => self.call(*prim, args),
            Op::DotBf16 { acc, a, b } => {
                let (acc, a, b) = (self.lanes(*acc), self.lanes(*a), self.lanes(*b));
                let pair = |x: &[u64], l: usize| [x[2 * l], x[2 * l + 1]];
                let lane = |(l, acc): (usize, &u64)| scalar::dot_bf16(*acc, pair(a, l), pair(b, l));
                acc.iter().enumerate().map(lane).collect()
            }
            pure => evaluate_pure(pure, &self.code.types, &|id| self.lanes(id)),
        })
    }

    /// The `i64`s `base, base + stride, …`.
    fn ramp(
        &self,
        base: &IExpr,
        stride: &IExpr,
        lanes: u32,
    ) -> Result<impl Iterator<Item = i64> + use<>, InterpError> {
        let (base, stride) = (self.index(base)?, self.index(stride)?);
        Ok((0..i64::from(lanes)).map(move |l| base.wrapping_add(stride.wrapping_mul(l))))
    }

    fn call(&mut self, prim: Prim, args: &[ValueId]) -> Vec<u64> {
        let ty = self.code.types[args[0]];
        let kernel = self.code.kernel;
        let found = kernel
            .functions
            .iter()
            .position(|f| f.prim == prim && f.ty == ty);
        let at = found.expect("a verified kernel defines the functions it uses");
        let function = &kernel.functions[at];
        let (types, slots) = &self.code.functions[at];
        let mut frame = std::mem::take(&mut self.functions[at]);
        for (param, arg) in function.params.iter().zip(args) {
            let begin = slots.begin[param.0 as usize];
            let lanes = self.lanes(*arg);
            frame[begin..begin + lanes.len()].copy_from_slice(lanes);
        }
        for (id, op) in function.code() {
            let lanes = evaluate_pure(op, types, &|id| frame_lanes(&frame, types, slots, id));
            let begin = slots.begin[id.0 as usize];
            frame[begin..begin + lanes.len()].copy_from_slice(&lanes);
        }
        let lanes = |id| frame_lanes(&frame, types, slots, id);
        let mut result = lanes(function.result).to_vec();
        if let Some(rare) = &function.rare {
            let rare_lanes = lanes(rare.lanes).iter().zip(lanes(rare.result));
            for (lane, (is_rare, other)) in result.iter_mut().zip(rare_lanes) {
                if *is_rare != 0 {
                    *lane = *other;
                }
            }
        }
        self.functions[at] = frame;
        result
    }

    fn bytes(&self, buf: Buf) -> (&[u8], DType) {
        let kernel = self.code.kernel;
        match buf {
            Buf::Param(at) => (
                &*self.buffers[at as usize],
                kernel.params[at as usize].dtype,
            ),
            Buf::Local(at) => (&self.locals[at as usize], kernel.locals[at as usize].dtype),
        }
    }

    fn load_each(
        &self,
        buf: Buf,
        elements: impl Iterator<Item = i64>,
    ) -> Result<Vec<u64>, InterpError> {
        elements
            .map(|element| self.load_one(buf, element))
            .collect()
    }

    fn load_one(&self, buf: Buf, element: i64) -> Result<u64, InterpError> {
        let (bytes, dtype) = self.bytes(buf);
        let range = element_range(buf, element, dtype, bytes.len())?;
        let mut word = [0u8; 8];
        word[..dtype.size()].copy_from_slice(&bytes[range]);
        let bits = u64::from_le_bytes(word);
        Ok(if dtype == DType::Bool {
            u64::from(bits != 0)
        } else {
            bits
        })
    }

    fn store(&mut self, buf: Buf, element: i64, bits: u64) -> Result<(), InterpError> {
        let (bytes, dtype) = self.bytes(buf);
        let range = element_range(buf, element, dtype, bytes.len())?;
        let memory: &mut [u8] = match buf {
            Buf::Param(at) => &mut *self.buffers[at as usize],
            Buf::Local(at) => &mut self.locals[at as usize],
        };
        memory[range].copy_from_slice(&bits.to_le_bytes()[..dtype.size()]);
        Ok(())
    }
}

fn frame_lanes<'f>(frame: &'f [u64], types: &Types, slots: &Slots, id: ValueId) -> &'f [u64] {
    let begin = slots.begin[id.0 as usize];
    &frame[begin..begin + types[id].lanes as usize]
}

/// The bytes of one element, if the buffer has it.
fn element_range(
    buf: Buf,
    element: i64,
    dtype: DType,
    bytes: usize,
) -> Result<std::ops::Range<usize>, InterpError> {
    let size = dtype.size();
    let elements = bytes / size;
    match usize::try_from(element) {
        Ok(at) if at < elements => Ok(at * size..(at + 1) * size),
        _ => Err(InterpError::OutOfBounds {
            buf,
            element,
            elements,
        }),
    }
}

/// Operations that depend on nothing but their operands, of a function or of the kernel.
fn evaluate_pure<'v>(op: &Op, types: &Types, lanes: &dyn Fn(ValueId) -> &'v [u64]) -> Vec<u64> {
    match op {
        Op::Const { value, ty } => vec![scalar::literal(*value, ty.scalar); ty.lanes as usize],
        Op::Prim { prim, args } => basic(*prim, args, types, lanes),
        Op::Convert { value, to } => {
            let from = types[*value].scalar;
            lanes(*value)
                .iter()
                .map(|bits| scalar::convert(*bits, from, *to))
                .collect()
        }
        Op::Bitcast { value, .. } => lanes(*value).to_vec(),
        Op::Splat {
            value,
            lanes: count,
        } => vec![lanes(*value)[0]; *count as usize],
        Op::Extract { value, lane } => vec![lanes(*value)[*lane as usize]],
        Op::Shuffle { a, b, lanes: picks } => {
            let (a, b) = (lanes(*a), lanes(*b));
            let pick = |lane: &u32| {
                let lane = *lane as usize;
                if lane < a.len() {
                    a[lane]
                } else {
                    b[lane - a.len()]
                }
            };
            picks.iter().map(pick).collect()
        }
        other => unreachable!("a verified function has no {other:?}"),
    }
}

fn basic<'v>(
    prim: Prim,
    args: &[ValueId],
    types: &Types,
    lanes: &dyn Fn(ValueId) -> &'v [u64],
) -> Vec<u64> {
    let scalar: Scalar = types[args[0]].scalar;
    let count = types[args[0]].lanes as usize;
    let operands: [&[u64]; 3] = std::array::from_fn(|at| match args.get(at) {
        Some(arg) => lanes(*arg),
        None => &[],
    });
    (0..count)
        .map(|lane| {
            let bits = operands.map(|operand| operand.get(lane).copied().unwrap_or(0));
            scalar::prim(prim, scalar, &bits).expect("a verified prim is defined for its type")
        })
        .collect()
}

#[cfg(test)]
mod tests;
