//! Streaming stores for large results.
//!
//! A store through the caches first reads the line it is about to overwrite. Where a kernel moves
//! more than the last cache holds, what it writes is gone from there before anyone reads it, so
//! the results go past the caches: a third less traffic.
//!
//! What must hold: a store streams only if it writes a whole vector, or half of one, whose index is
//! provably a multiple of its lanes, to memory that starts at a multiple of 64 bytes, and the kernel
//! does not read that memory.

use super::Scheduled;
use crate::graph::{Graph, TensorId};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{Atom, IExpr};
use std::collections::{BTreeSet, HashMap};

/// A result smaller than this part of the last cache may well be read from there later.
const WORTH: usize = 4;

/// Turns stores to large results into streaming ones. `is_fresh(t)`: will the tensor's memory be
/// the program's own?
pub fn stream(
    graph: &Graph,
    target: &Target,
    scheduled: &mut Scheduled,
    is_fresh: &dyn Fn(TensorId) -> bool,
) {
    let bytes = |tensor: TensorId| {
        let info = graph.tensor(tensor);
        let elements = usize::try_from(graph.hint_numel(&info.sizes)).unwrap_or(0);
        elements.saturating_mul(info.dtype.size())
    };
    let traffic: usize = scheduled.buffers.iter().map(|t| bytes(*t)).sum();
    if target.isa == Isa::Neon || traffic <= target.last_cache_bytes {
        return;
    }
    let kernel = &mut scheduled.kernel;
    let mut read = BTreeSet::new();
    note_reads(&kernel.setup, &mut read);
    note_reads(&kernel.body, &mut read);
    let is_large = |tensor| bytes(tensor) >= target.last_cache_bytes / WORTH;
    let results: BTreeSet<Buf> = (0u32..)
        .zip(&scheduled.buffers)
        .filter(|(_, tensor)| is_fresh(**tensor) && is_large(**tensor))
        .map(|(at, _)| Buf::Param(at))
        .filter(|buf| !read.contains(buf))
        .collect();
    if !results.is_empty() {
        rewrite(kernel, results, target);
    }
}

/// Streams what may stream to the given buffers.
fn rewrite(kernel: &mut Kernel, results: BTreeSet<Buf>, target: &Target) {
    let mut rewriter = Rewriter {
        results,
        vector_bytes: target.isa.vector_bytes(),
        element_bytes: kernel.params.iter().map(|p| p.dtype.size()).collect(),
        lanes: HashMap::new(),
        factors: HashMap::new(),
    };
    rewriter.block(&mut kernel.setup);
    rewriter.block(&mut kernel.body);
}

/// Buffers that the block reads.
fn note_reads(block: &Block, read: &mut BTreeSet<Buf>) {
    visit(block, &mut |stmt| {
        if let Stmt::Let {
            op:
                Op::Load { buf, .. }
                | Op::LoadMasked { buf, .. }
                | Op::LoadStrided { buf, .. }
                | Op::Gather { buf, .. },
            ..
        } = stmt
        {
            read.insert(*buf);
        }
    });
}

struct Rewriter {
    results: BTreeSet<Buf>,
    vector_bytes: usize,
    /// Of each parameter.
    element_bytes: Vec<usize>,
    lanes: HashMap<ValueId, u32>,
    /// What a loop variable or an index value is known to be a multiple of; zero is one of all.
    factors: HashMap<Atom, i64>,
}

impl Rewriter {
    fn block(&mut self, block: &mut Block) {
        for stmt in block {
            match stmt {
                Stmt::Let { id, op } => self.define(*id, op),
                Stmt::For {
                    var,
                    begin,
                    step,
                    body,
                    ..
                } => {
                    let factor = gcd(self.factor(begin), *step);
                    self.factors.insert(Atom::Var(var.0), factor);
                    self.block(body);
                }
                Stmt::If {
                    then, otherwise, ..
                } => {
                    self.block(then);
                    self.block(otherwise);
                }
                Stmt::Store { buf, index, value } if self.may_stream(*buf, index, *value) => {
                    *stmt = Stmt::Stream {
                        buf: *buf,
                        index: index.clone(),
                        value: *value,
                    };
                }
                _ => {}
            }
        }
    }

    /// Keeps the lanes of what may be stored, and the factor of an index.
    fn define(&mut self, id: ValueId, op: &Op) {
        let lanes = match op {
            Op::Index { expr } => {
                let factor = self.factor(expr);
                self.factors.insert(Atom::Value(id.0), factor);
                1
            }
            Op::Const { ty, .. } => ty.lanes,
            Op::Ramp { lanes, .. }
            | Op::Load { lanes, .. }
            | Op::LoadStrided { lanes, .. }
            | Op::Splat { lanes, .. } => *lanes,
            Op::LoadMasked { mask: lanes, .. } | Op::Gather { index: lanes, .. } => {
                self.lanes_of(*lanes)
            }
            Op::Prim { args, .. } => args.iter().map(|a| self.lanes_of(*a)).max().unwrap_or(0),
            Op::Convert { value, .. } | Op::Bitcast { value, .. } => self.lanes_of(*value),
            Op::Shuffle { lanes, .. } => lanes.len() as u32,
            Op::DotBf16 { acc, .. } => self.lanes_of(*acc),
            // A register's lanes are not followed; nothing is stored straight from one.
            Op::Get { .. } => 0,
            Op::Extract { .. } => 1,
        };
        self.lanes.insert(id, lanes);
    }

    fn lanes_of(&self, id: ValueId) -> u32 {
        self.lanes.get(&id).copied().unwrap_or(0)
    }

    fn may_stream(&self, buf: Buf, index: &IExpr, value: ValueId) -> bool {
        let Buf::Param(at) = buf else { return false };
        let lanes = self.lanes_of(value);
        let size = self.element_bytes.get(at as usize).copied().unwrap_or(0);
        let bytes = size * lanes as usize;
        // Half a vector is what half precision takes of a vector of results.
        let is_register = bytes == self.vector_bytes || 2 * bytes == self.vector_bytes.max(32);
        self.results.contains(&buf) && is_register && self.factor(index) % i64::from(lanes) == 0
    }

    /// A number that the expression's value is a multiple of, whatever its atoms are.
    fn factor(&self, e: &IExpr) -> i64 {
        let term = |(atoms, coefficient): &(Vec<Atom>, i64)| {
            atoms.iter().fold(*coefficient, |product, atom| {
                let factor = self.factors.get(atom).copied().unwrap_or(1);
                product.saturating_mul(factor)
            })
        };
        // A saturated product is no exact multiple any more.
        e.terms().iter().map(term).fold(0, |sum, factor| {
            if factor == i64::MAX || factor == i64::MIN {
                1
            } else {
                gcd(sum, factor)
            }
        })
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i64::try_from(a).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferroductor_ir::text::{parse, print};

    /// A kernel that stores sixteen floats at an index.
    fn store_at(index: &str) -> Kernel {
        parse(&format!(
            "kernel copy {{
               param p0 x: f32 read
               param p1 y: f32 write noalias
               sizes 1
               tiles 8
               body {{
                 %0 = index 32*i0
                 for i1 in 0..64 step 16 {{
                   for i2 in 8..64 step 16 {{
                     %1 = load x16 p0[{index}]
                     %2 = add %1, %1
                     store p1[{index}] = %2
                   }}
                 }}
               }}
             }}"
        ))
        .unwrap()
    }

    fn streams(mut kernel: Kernel, isa: Isa) -> bool {
        rewrite(
            &mut kernel,
            BTreeSet::from([Buf::Param(1)]),
            &Target::of(isa),
        );
        ferroductor_ir::verify::for_target(&kernel, &Target::of(isa)).unwrap();
        assert_eq!(
            print(&kernel).contains("stream p1"),
            !kernel.streamed().is_empty()
        );
        !kernel.streamed().is_empty()
    }

    #[test]
    fn multiples_of_the_vector_stream() {
        for index in [
            "i1",
            "16*i0",
            "i1 + 64*i0 + 32",
            "%0",
            "%0 + i1",
            "s0*i1",
            "3*s0*i1*i0",
        ] {
            assert!(streams(store_at(index), Isa::Avx512), "{index}");
        }
    }

    #[test]
    fn what_is_no_multiple_for_certain_does_not() {
        for index in [
            "i2",
            "i0",
            "i1 + 8",
            "s0*i0 + i1",
            "8*i0",
            "i1 + div(i0, 2)",
            "s0",
        ] {
            assert!(!streams(store_at(index), Isa::Avx512), "{index}");
        }
    }

    #[test]
    fn only_registers_stream() {
        // Sixteen floats are two registers, sixteen halves are one.
        assert!(!streams(store_at("i1"), Isa::Avx2));
        let halves = |isa| {
            let mut kernel = store_at("i1");
            kernel.params[1].dtype = ferroductor_ir::DType::BF16;
            store_as_bf16(&mut kernel.body);
            streams(kernel, isa)
        };
        assert!(halves(Isa::Avx512) && halves(Isa::Avx2));
        assert!(!halves(Isa::Sse42));
    }

    /// Stores what is there as bf16.
    fn store_as_bf16(block: &mut Block) {
        for at in 0..block.len() {
            match &mut block[at] {
                Stmt::For { body, .. } => return store_as_bf16(body),
                Stmt::Store { value, .. } => {
                    let op = Op::Convert {
                        value: *value,
                        to: ferroductor_ir::DType::BF16,
                    };
                    *value = ValueId(9);
                    return block.insert(at, Stmt::Let { id: ValueId(9), op });
                }
                _ => {}
            }
        }
    }
}
