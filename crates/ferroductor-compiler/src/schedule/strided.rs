//! Loading every second, third or fourth element: whole vectors, and the wanted lanes picked from
//! them, instead of one element at a time.

use super::emitter::Emitter;
use ferroductor_ir::IExpr;
use ferroductor_ir::kernel::*;

/// Beyond this stride most of what is loaded would be thrown away.
const MAX_STRIDE: i64 = 4;

/// `lanes` elements, `stride` apart.
pub struct Elements {
    pub buf: Buf,
    pub index: IExpr,
    pub stride: i64,
    pub lanes: u32,
}

/// The stride, if whole vectors pay.
pub fn is_short(stride: &IExpr, lanes: u32) -> Option<i64> {
    let stride = stride.as_const()?;
    ((2..=MAX_STRIDE).contains(&stride) && lanes >= 4).then_some(stride)
}

impl Elements {
    /// `stride` loads that cover the elements and nothing beyond the last one.
    pub fn load(&self, emitter: &mut Emitter<'_>, written: bool) -> ValueId {
        let vector = |p: i64, emitter: &mut Emitter<'_>| {
            let op = Op::Load {
                buf: self.buf,
                index: &self.index + &IExpr::constant(self.start(p)),
                lanes: self.lanes,
            };
            match written {
                true => emitter.push_here(op),
                false => emitter.push(op),
            }
        };
        let first = vector(0, emitter);
        (1..self.stride).fold(first, |picked, p| {
            let (a, b) = (picked, vector(p, emitter));
            let lanes = self.picks(p);
            emitter.push(Op::Shuffle { a, b, lanes })
        })
    }

    /// Where vector `p` starts: the last one ends with the last element.
    fn start(&self, p: i64) -> i64 {
        let lanes = i64::from(self.lanes);
        (p * lanes).min((lanes - 1) * self.stride + 1 - lanes)
    }

    /// The lanes after vector `p`: what it holds comes from it, earlier elements from what has been
    /// picked so far.
    fn picks(&self, p: i64) -> Vec<u32> {
        let start = self.start(p);
        let lanes = i64::from(self.lanes);
        (0..lanes)
            .map(|lane| {
                let position = lane * self.stride;
                let from = (position / lanes).min(self.stride - 1);
                let before = if p == 1 { position } else { lane };
                match from {
                    _ if from == p => lanes + position - start,
                    _ if from < p => before,
                    _ => 0,
                }
            })
            .map(|lane| lane as u32)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the shuffles pick, followed by hand over the numbers of the elements.
    fn followed(stride: i64, lanes: u32) -> Vec<i64> {
        let elements = Elements {
            buf: Buf::Param(0),
            index: IExpr::zero(),
            stride,
            lanes,
        };
        let count = i64::from(lanes);
        let vector = |p: i64| -> Vec<i64> {
            let start = elements.start(p);
            (start..start + count).collect()
        };
        (1..stride).fold(vector(0), |picked, p| {
            let both = [picked, vector(p)].concat();
            let picks = elements.picks(p);
            picks.into_iter().map(|l| both[l as usize]).collect()
        })
    }

    #[test]
    fn the_picked_lanes_are_the_strided_elements() {
        for lanes in [4, 8, 16] {
            for stride in 2..=MAX_STRIDE {
                let wanted: Vec<i64> = (0..i64::from(lanes)).map(|l| l * stride).collect();
                assert_eq!(followed(stride, lanes), wanted, "{lanes} lanes by {stride}");
            }
        }
    }
}
