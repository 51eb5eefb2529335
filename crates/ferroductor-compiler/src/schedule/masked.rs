//! Lanes that must touch no memory: the end of a vectorised loop, and guards whose condition differs
//! from lane to lane.
//!
//! What must hold: while [`Evaluator::mask`] is set, every load and store along the vector axis goes
//! by it, so no element is touched that the lane-by-lane loop would not touch. Values of inactive
//! lanes are arbitrary (no operator traps); whoever lets lanes meet, or stores them, selects.
//! [`Evaluator::vectorizable`] and [`Evaluator::masks_tail`] say beforehand where that is right and
//! pays; everything else runs lane by lane.

use super::emitter::Emitter;
use super::eval::Evaluator;
use super::prepare::{Action, Piece};
use crate::error::CompileError;
use crate::graph::{E, Expr, Load, TensorId, visit};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{DType, IExpr, Literal, Prim};

type Result<T> = std::result::Result<T, CompileError>;

impl Emitter<'_> {
    /// The numbers of the lanes.
    fn lane_numbers(&mut self, lanes: u32) -> ValueId {
        let numbers = self.push(Op::Ramp {
            base: IExpr::zero(),
            stride: IExpr::one(),
            lanes,
        });
        self.convert(numbers, DType::I32)
    }

    /// A position in the kernel's own terms as an `i32` in every lane, kept within `0..=lanes`.
    fn lane_limit(&mut self, position: &IExpr, lanes: u32) -> ValueId {
        if let Some(limit) = position.as_const() {
            let limit = Literal::Int(limit.clamp(0, i64::from(lanes)));
            return self.constant(limit, Ty::new(DType::I32, lanes));
        }
        let kept = position
            .larger(&IExpr::zero())
            .smaller(&IExpr::constant(i64::from(lanes)));
        let limit = self.push(Op::Index { expr: kept });
        let limit = self.convert(limit, DType::I32);
        self.widen(limit, lanes)
    }

    /// The lanes before a position.
    pub fn lanes_before(&mut self, position: &IExpr, lanes: u32) -> Result<ValueId> {
        let (numbers, limit) = (self.lane_numbers(lanes), self.lane_limit(position, lanes));
        self.prim(Prim::Lt, &[numbers, limit])
    }

    /// The lanes from a position on.
    fn lanes_from(&mut self, position: &IExpr, lanes: u32) -> Result<ValueId> {
        let (numbers, limit) = (self.lane_numbers(lanes), self.lane_limit(position, lanes));
        self.prim(Prim::Ge, &[numbers, limit])
    }

    /// The lanes in the opposite order.
    pub fn reversed(&mut self, value: ValueId) -> ValueId {
        let lanes = self.ty(value).lanes;
        self.push(Op::Shuffle {
            a: value,
            b: value,
            lanes: (0..lanes).rev().collect(),
        })
    }
}

impl Evaluator<'_> {
    /// The elements of room behind a roomy array.
    pub fn room(&self) -> i64 {
        i64::from(self.emitter.target.lanes(DType::F32))
    }

    /// A local array for a row, with room behind it for the inactive lanes of its last vector: what a
    /// masked store has written, CPUs cannot forward to the next load.
    pub fn roomy_local(&mut self, dtype: DType, elements: &IExpr, name: &str) -> Buf {
        let elements = elements + &IExpr::constant(self.room());
        let buf = self.emitter.local(dtype, elements, name);
        self.roomy.insert(buf);
        buf
    }

    /// Consecutive elements, one a lane, of the active lanes. `written`: the kernel itself writes
    /// the buffer, so the load stays where it is.
    pub fn load_lanes(&mut self, buf: Buf, index: IExpr, written: bool) -> ValueId {
        let lanes = self.vector.map_or(1, |v| v.lanes);
        let mask = self
            .mask
            .filter(|_| lanes > 1 && !self.roomy.contains(&buf));
        let op = match mask {
            Some(mask) => Op::LoadMasked { buf, index, mask },
            None => Op::Load { buf, index, lanes },
        };
        if written {
            self.emitter.push_here(op)
        } else {
            self.emitter.push(op)
        }
    }

    /// Elements before each other, one a lane: read as they lie in memory and turned round.
    pub fn load_backwards(&mut self, buf: Buf, index: &IExpr, written: bool) -> ValueId {
        let lanes = self.vector.map_or(1, |v| v.lanes);
        let first = index - &IExpr::constant(i64::from(lanes) - 1);
        let mask = self.mask;
        self.mask = mask.map(|mask| self.emitter.reversed(mask));
        let loaded = self.load_lanes(buf, first, written);
        self.mask = mask;
        self.emitter.reversed(loaded)
    }

    /// A strided load or a gather of the active lanes, one after the other: what is asked for where
    /// nothing better can be had.
    pub fn load_apart(&mut self, op: &Op, mask: ValueId) -> Result<ValueId> {
        let lanes = self.emitter.ty(mask).lanes;
        let mut parts = Vec::new();
        for lane in 0..lanes {
            let (buf, index) = match op {
                Op::LoadStrided {
                    buf, index, stride, ..
                } => (*buf, index + &(stride * &IExpr::constant(i64::from(lane)))),
                Op::Gather { buf, index } => (*buf, self.lane_index(*index, lane)),
                _ => {
                    let what = "a load of other than elements apart";
                    return Err(CompileError::internal("schedule", what));
                }
            };
            let mask = self.emitter.push(Op::Extract { value: mask, lane });
            let load = Op::LoadMasked { buf, index, mask };
            parts.push(self.emitter.push_here(load));
        }
        // Neighbours join until one vector is left.
        let mut width = 1;
        while parts.len() > 1 {
            width *= 2;
            parts = parts
                .chunks(2)
                .map(|pair| {
                    self.emitter.push(Op::Shuffle {
                        a: pair[0],
                        b: pair[1],
                        lanes: (0..width).collect(),
                    })
                })
                .collect();
        }
        Ok(parts[0])
    }

    /// Writes the active lanes, one after the other, to the elements that a vector of indices names.
    pub fn store_apart(&mut self, buf: Buf, index: ValueId, value: ValueId, mask: ValueId) {
        for lane in 0..self.emitter.ty(mask).lanes {
            let index = self.lane_index(index, lane);
            let value = self.emitter.push(Op::Extract { value, lane });
            let mask = self.emitter.push(Op::Extract { value: mask, lane });
            self.emitter.statement(Stmt::StoreMasked {
                buf,
                index,
                value,
                mask,
            });
        }
    }

    fn lane_index(&mut self, index: ValueId, lane: u32) -> IExpr {
        let index = self.emitter.push(Op::Extract { value: index, lane });
        IExpr::value(index.0)
    }

    /// Writes the active lanes to consecutive elements.
    pub fn store_lanes(&mut self, buf: Buf, index: IExpr, value: ValueId) {
        let is_vector = self.emitter.ty(value).lanes > 1;
        let mask = self
            .mask
            .filter(|_| is_vector && !self.roomy.contains(&buf));
        match mask {
            Some(mask) => {
                let value = self.emitter.convert(value, self.emitter.buf_dtype(buf));
                self.emitter.statement(Stmt::StoreMasked {
                    buf,
                    index,
                    value,
                    mask,
                });
            }
            None => self.emitter.store(buf, index, value),
        }
    }

    /// `value` where the bounds hold, else `other`, where they differ from lane to lane: the loads of
    /// `value` are masked.
    pub fn guard_lanes(
        &mut self,
        bounds: &[(IExpr, IExpr)],
        value: &E,
        other: ValueId,
    ) -> Result<ValueId> {
        let mut inside = None;
        for (index, bound) in bounds {
            for test in self.lane_tests(index, bound)? {
                inside = Some(self.both(inside, test)?);
            }
        }
        let lanes = self.vector.map_or(1, |v| v.lanes);
        let Some(inside) = inside else {
            let value = self.eval(value)?;
            return Ok(self.emitter.widen(value, lanes));
        };
        let before = self.mask;
        let active = self.both(before, inside)?;
        self.mask = Some(active);
        let value = self.eval(value);
        self.mask = before;
        let value = value?;
        let value = self.emitter.widen(value, lanes);
        self.emitter.prim(Prim::Select, &[active, value, other])
    }

    fn both(&mut self, a: Option<ValueId>, b: ValueId) -> Result<ValueId> {
        match a {
            None => Ok(b),
            Some(a) => self.emitter.prim(Prim::And, &[a, b]),
        }
    }

    /// Tests of `0 <= index < bound` that do not hold by themselves. Steps of one are compared with
    /// the lane's number, in narrow integers, everything else in `i64`.
    fn lane_tests(&mut self, index: &IExpr, bound: &IExpr) -> Result<Vec<ValueId>> {
        let Some(vector) = self.vector else {
            return Ok(Vec::new());
        };
        let (below, beyond) = self.may_leave(index, bound);
        let lanes = vector.lanes;
        let step = index
            .coefficient(vector.axis)
            .and_then(|c| c.as_const())
            .filter(|c| c.abs() == 1 && !bound.uses_var(vector.axis));
        let Some(step) = step else {
            return self.plain_tests(index, bound, (below, beyond));
        };
        let (first, bound) = (self.place(index), self.place(bound));
        let mut tests = Vec::new();
        if below {
            tests.push(match step {
                1 => self.emitter.lanes_from(&(&IExpr::zero() - &first), lanes)?,
                _ => self
                    .emitter
                    .lanes_before(&(&first + &IExpr::one()), lanes)?,
            });
        }
        if beyond {
            tests.push(match step {
                1 => self.emitter.lanes_before(&(&bound - &first), lanes)?,
                _ => {
                    let after = &(&first - &bound) + &IExpr::one();
                    self.emitter.lanes_from(&after, lanes)?
                }
            });
        }
        Ok(tests)
    }

    // What may be masked.

    /// Can lanes run along the axis in this piece at all?
    pub fn vectorizable(&self, piece: &Piece, axis: u32) -> bool {
        match &piece.action {
            Action::Scan { axis: along, .. } if *along == axis => return false,
            Action::Scatter { offset, values, .. } => {
                let plain = offset.coefficient(axis).is_some_and(|c| c.is_one());
                if !plain || values.iter().any(|v| depends_on(v, axis)) {
                    return false;
                }
            }
            _ => {}
        }
        let mut possible = true;
        for e in piece.expressions() {
            visit(e, &mut |e| {
                if let Expr::Guard { bounds, value, .. } = &**e
                    && bounds.iter().any(|b| differs(b, axis))
                {
                    let varying: Vec<_> = bounds.iter().filter(|b| differs(b, axis)).collect();
                    let somewhere = self.holds_somewhere(&varying, axis);
                    possible = possible && self.can_be_masked(value, axis, somewhere, true);
                }
            });
        }
        possible
    }

    /// May the last lanes of a loop along the axis, fewer than a vector, run as one masked vector?
    /// `known`: their number is a literal, so that masks cost nothing on any target.
    pub fn masks_tail(&self, piece: &Piece, axis: u32, known: bool) -> bool {
        let offset = match &piece.action {
            Action::Scatter { offset, .. } => offset,
            _ => &piece.offset,
        };
        let moves = known || self.has_masked_moves(piece.tensor);
        let stores = offset.coefficient(axis);
        stores.is_some_and(|c| c.is_zero() || c.is_one() && moves)
            && piece
                .expressions()
                .into_iter()
                .all(|e| self.can_be_masked(e, axis, true, !known))
    }

    /// Does everything that an expression reads bear a mask along the axis? `uniform`: elements that
    /// all lanes share may be read whatever the mask says. `in_hardware`: only where the target
    /// has the instruction.
    fn can_be_masked(&self, e: &E, axis: u32, uniform: bool, in_hardware: bool) -> bool {
        let mut possible = true;
        visit(e, &mut |e| match &**e {
            Expr::Load(load) => {
                possible = possible
                    && !load.values.iter().any(|v| depends_on(v, axis))
                    && self.load_can_be_masked(load, axis, uniform, in_hardware);
            }
            Expr::Check { value, .. } => {
                possible = possible && uniform && !depends_on(value, axis);
            }
            Expr::Guard { bounds, .. } => {
                possible = possible && (uniform || !bounds.iter().any(|b| differs(b, axis)));
            }
            _ => {}
        });
        possible
    }

    fn load_can_be_masked(&self, load: &Load, axis: u32, uniform: bool, in_hardware: bool) -> bool {
        let step = load.index[0].coefficient(axis).and_then(|c| c.as_const());
        let fits = match step {
            Some(0) => uniform,
            Some(1 | -1) => !in_hardware || self.has_masked_moves(load.tensor),
            _ => false,
        };
        // What the kernel itself computes may be computed once more at this point.
        let own = self
            .prepared
            .pieces
            .iter()
            .find(|p| p.tensor == load.tensor);
        fits && own.is_none_or(|piece| match &piece.action {
            Action::Store { value, .. } => self.can_be_masked(value, axis, uniform, in_hardware),
            _ => true,
        })
    }

    /// Has the target an instruction that moves a vector of the tensor's elements under a mask?
    fn has_masked_moves(&self, tensor: TensorId) -> bool {
        let dtype = match self.buffers.get(&tensor) {
            Some(buf) => self.emitter.buf_dtype(*buf),
            // Rows kept between levels and tiles of products hold computed values.
            None => DType::F32,
        };
        self.emitter.target.has_masked_moves(dtype)
    }

    /// Do the bounds, which differ along the axis, hold at one of its positions at least, wherever the
    /// other axes are? Then what does not depend on the axis exists.
    fn holds_somewhere(&self, bounds: &[&(IExpr, IExpr)], axis: u32) -> bool {
        let Some(extent) = self.prepared.axes[axis as usize].as_const() else {
            return false;
        };
        let (mut first, mut end) = (0, extent);
        for (index, bound) in bounds {
            let (Some(step), Some(bound)) = (
                index.coefficient(axis).and_then(|c| c.as_const()),
                bound.as_const(),
            ) else {
                return false;
            };
            let rest = index - &(&IExpr::constant(step) * &IExpr::var(axis));
            let Some(rest) = rest.as_const() else {
                return false;
            };
            match step {
                1 => (first, end) = (first.max(-rest), end.min(bound - rest)),
                -1 => (first, end) = (first.max(rest - bound + 1), end.min(rest + 1)),
                _ => return false,
            }
        }
        first < end
    }
}

/// Does a bound differ from lane to lane along the axis?
pub fn differs((index, bound): &(IExpr, IExpr), axis: u32) -> bool {
    index.uses_var(axis) || bound.uses_var(axis)
}

/// Does a guard of the piece differ from element to element of the axis?
pub fn has_guard_along(piece: &Piece, axis: u32) -> bool {
    let mut found = false;
    for e in piece.expressions() {
        visit(e, &mut |e| {
            if let Expr::Guard { bounds, .. } = &**e {
                found |= bounds.iter().any(|b| differs(b, axis));
            }
        });
    }
    found
}

fn depends_on(e: &E, axis: u32) -> bool {
    let mut found = false;
    visit(e, &mut |e| {
        found |= match &**e {
            Expr::Index(i) => i.uses_var(axis),
            Expr::Load(l) => l.index.iter().any(|i| i.uses_var(axis)),
            Expr::Guard { bounds, .. } => bounds.iter().any(|b| differs(b, axis)),
            _ => false,
        }
    });
    found
}
