//! Sliding windows, as convolution and pooling move them over a dimension.

use ferroductor_ir::{IExpr, NoRanges};

/// The windows along one spatial dimension.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Sizes of input and output.
    pub input: IExpr,
    pub output: IExpr,
    pub kernel: i64,
    pub stride: i64,
    pub padding: i64,
    /// Negative where the window's elements go backwards.
    pub dilation: i64,
}

impl Window {
    /// Where window `o` starts; negative inside the padding.
    pub fn start(&self, o: &IExpr) -> IExpr {
        &(o * &IExpr::constant(self.stride)) - &IExpr::constant(self.padding)
    }

    /// The input position of element `j` of window `o`; outside the input it lies in the padding.
    pub fn position(&self, o: &IExpr, j: &IExpr) -> IExpr {
        &self.start(o) + &(j * &IExpr::constant(self.dilation))
    }

    /// Is it proved that every window lies within the input?
    pub fn is_inside(&self) -> bool {
        let last_output = &self.output - &IExpr::one();
        let (mut low, mut high) = (0, self.kernel - 1);
        if self.dilation < 0 {
            (low, high) = (high, low);
        }
        let first = self.position(&IExpr::zero(), &IExpr::constant(low));
        let last = self.position(&last_output, &IExpr::constant(high));
        let room = &(&self.input - &last) - &IExpr::one();
        first.is_nonnegative(&NoRanges) && room.is_nonnegative(&NoRanges)
    }
}
