//! Random kernels with inputs, for property tests of the text form and the emitters.
//!
//! [`case`] gives, for every seed, a kernel that passes the verifier and whose every access stays
//! inside its buffers, whatever the data. Results never depend on the sign or payload of a NaN,
//! which arithmetic leaves open: before a NaN's bits could show as something else than a NaN,
//! the generator replaces it. [`reduce`] shrinks a kernel that shows a fault.

mod generate;
mod index;
mod reduce;

pub use generate::case;
pub use reduce::reduce;

use crate::dtype::DType;
use crate::kernel::Kernel;

/// What random kernels may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The widest vector's lanes.
    pub max_lanes: u32,
    /// Statements of `setup` and `body` together, roughly.
    pub statements: u32,
    /// Fused multiply-add.
    pub fma: bool,
    /// Multiplication by a power of two.
    pub scale: bool,
    /// The bf16 dot product.
    pub dot_bf16: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_lanes: 16,
            statements: 40,
            fma: true,
            scale: true,
            dot_bf16: false,
        }
    }
}

/// A kernel and one input.
#[derive(Clone, Debug)]
pub struct Case {
    pub kernel: Kernel,
    pub sizes: Vec<i64>,
    /// The parameters' memory.
    pub buffers: Vec<Vec<u8>>,
    pub begin: i64,
    pub end: i64,
}

/// Do two buffers hold the same elements? All NaNs of a float type are alike.
pub fn same_elements(dtype: DType, a: &[u8], b: &[u8]) -> bool {
    let nan = |bytes: &[u8]| match (dtype, bytes) {
        (DType::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]).is_nan(),
        (DType::F64, bytes) => bytes
            .try_into()
            .is_ok_and(|b| f64::from_le_bytes(b).is_nan()),
        (DType::F16, &[a, b]) => u16::from_le_bytes([a, b]) & 0x7fff > 0x7c00,
        (DType::BF16, &[a, b]) => u16::from_le_bytes([a, b]) & 0x7fff > 0x7f80,
        _ => false,
    };
    let size = dtype.size().max(1);
    a.len() == b.len()
        && (a.chunks(size).zip(b.chunks(size))).all(|(a, b)| a == b || (nan(a) && nan(b)))
}

/// A small generator of random numbers (splitmix64): the same everywhere for the same seed.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % (bound.max(1) as u64)) as usize
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as usize) as i64
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }
}

#[cfg(test)]
mod tests;
