//! Transposition in registers.

use super::emitter::Emitter;
use ferroductor_ir::kernel::{Op, ValueId};

/// Turns a square of vectors, of units of `pair` elements, by swapping ever smaller blocks.
pub(super) fn turn(emitter: &mut Emitter<'_>, rows: &mut [ValueId], pair: usize) {
    let size = rows.len();
    let mut d = size / 2;
    while d > 0 {
        for i in (0..size).filter(|i| i & d == 0) {
            let (a, b) = (rows[i], rows[i | d]);
            let pick = |from: usize| -> Vec<u32> {
                let unit = |at: usize| {
                    if at & d == 0 {
                        at + from
                    } else {
                        size + at - (d - from)
                    }
                };
                (0..size)
                    .flat_map(|at| (0..pair).map(move |p| (at, p)))
                    .map(|(at, p)| (unit(at) * pair + p) as u32)
                    .collect()
            };
            let (low, high) = (pick(0), pick(d));
            rows[i] = emitter.push(Op::Shuffle { a, b, lanes: low });
            rows[i | d] = emitter.push(Op::Shuffle { a, b, lanes: high });
        }
        d /= 2;
    }
}
