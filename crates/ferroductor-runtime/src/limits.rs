//! What the machine can do at best: float32 arithmetic from registers, and memory.
//!
//! The benchmark compares kernels with these figures. The loops are written in assembly where the
//! compiler would replace them by something else (a call of `memcpy`, nothing at all); they run on
//! threads of their own, which start together, and the best of several rounds counts.

use std::sync::Barrier;
use std::time::Instant;

/// The limits of this machine with a number of threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Float32 operations, two for each fused multiply-add, in 10⁹ a second.
    pub fma_gflops: f64,
    /// Bytes in 10⁹ a second. Copies count what is read and what is written.
    pub read_gbs: f64,
    pub copy_gbs: f64,
    /// A copy whose stores go past the caches.
    pub stream_gbs: f64,
}

/// Far more than the caches hold, in all threads together.
const BUFFER: usize = 128 << 20;
/// What the loops below handle in one step.
const STEP: usize = 128;
const ROUNDS: usize = 7;

/// Measures for about a second.
pub fn measure_limits(threads: usize) -> Limits {
    let threads = threads.clamp(1, 1024);
    let share = (BUFFER / threads).next_multiple_of(STEP);
    let steps = 2_000_000;
    let seconds = best_of(
        threads,
        || (),
        |()| {
            arithmetic(steps);
        },
    );
    let operations = (threads as u64 * steps * operations_per_step()) as f64;
    // `1`: no page of the source may be the system's shared page of zeros.
    let source = || AlignedBuffer::new(share, 1);
    let pair = || (AlignedBuffer::new(share, 1), AlignedBuffer::new(share, 2));
    let bytes = (threads * share) as f64;
    let read = best_of(threads, source, |from| {
        read(from.steps());
    });
    let copied = best_of(threads, pair, |(from, to)| {
        copy(from.steps(), to.steps_mut())
    });
    let streamed = best_of(threads, pair, |(from, to)| {
        stream(from.steps(), to.steps_mut());
    });
    Limits {
        fma_gflops: operations / seconds / 1e9,
        read_gbs: bytes / read / 1e9,
        copy_gbs: 2.0 * bytes / copied / 1e9,
        stream_gbs: 2.0 * bytes / streamed / 1e9,
    }
}

/// The shortest time that all threads together take for one `work`.
fn best_of<T>(threads: usize, prepare: impl Fn() -> T + Sync, work: impl Fn(&mut T) + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let run = |_| {
        let mut state = prepare();
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            barrier.wait();
            let start = Instant::now();
            work(&mut state);
            barrier.wait();
            best = best.min(start.elapsed().as_secs_f64());
        }
        best
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|at| scope.spawn(move || run(at)))
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or(f64::INFINITY))
            .fold(0.0, f64::max)
    })
}

/// One step of the loops: two cache lines, so that streaming stores are aligned.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
struct Step([u8; STEP]);

struct AlignedBuffer(Vec<Step>);

impl AlignedBuffer {
    fn new(bytes: usize, value: u8) -> AlignedBuffer {
        AlignedBuffer(vec![Step([value; STEP]); bytes / STEP])
    }

    fn steps(&self) -> &[Step] {
        &self.0
    }

    fn steps_mut(&mut self) -> &mut [Step] {
        &mut self.0
    }
}

#[cfg(target_arch = "x86_64")]
mod machine {
    use std::arch::asm;

    use super::Step;

    fn has_avx512() -> bool {
        std::arch::is_x86_feature_detected!("avx512f")
    }

    fn has_avx() -> bool {
        std::arch::is_x86_feature_detected!("avx") && std::arch::is_x86_feature_detected!("fma")
    }

    /// Twelve independent accumulators hide the latency of every known core.
    macro_rules! fma_loop {
        ($steps:expr, $r:literal) => {
            asm!(
                // The low halves of the same registers; the rest is cleared with them.
                "vxorps xmm0, xmm0, xmm0", "vxorps xmm1, xmm1, xmm1", "vxorps xmm2, xmm2, xmm2",
                "vxorps xmm3, xmm3, xmm3", "vxorps xmm4, xmm4, xmm4", "vxorps xmm5, xmm5, xmm5",
                "vxorps xmm6, xmm6, xmm6", "vxorps xmm7, xmm7, xmm7", "vxorps xmm8, xmm8, xmm8",
                "vxorps xmm9, xmm9, xmm9", "vxorps xmm10, xmm10, xmm10", "vxorps xmm11, xmm11, xmm11",
                "vxorps xmm12, xmm12, xmm12", "vxorps xmm13, xmm13, xmm13",
                "2:",
                concat!("vfmadd231ps ", $r, "0, ", $r, "12, ", $r, "13"),
                concat!("vfmadd231ps ", $r, "1, ", $r, "12, ", $r, "13"),
                concat!("vfmadd231ps ", $r, "2, ", $r, "12, ", $r, "13"),
                concat!("vfmadd231ps ", $r, "3, ", $r, "12, ", $r, "13"),
                concat!("vfmadd231ps ", $r, "4, ", $r, "12, ", $r, "13"),
                concat!("vfmadd231ps ", $r, "5, ", $r, "12, ", $r, "13"),
                concat!("vfmadd231ps ", $r, "6, ", $r, "12, ", $r, "13"),
                concat!("vfmadd231ps ", $r, "7, ", $r, "12, ", $r, "13"),
                concat!("vfmadd231ps ", $r, "8, ", $r, "12, ", $r, "13"),
                concat!("vfmadd231ps ", $r, "9, ", $r, "12, ", $r, "13"),
                concat!("vfmadd231ps ", $r, "10, ", $r, "12, ", $r, "13"),
                concat!("vfmadd231ps ", $r, "11, ", $r, "12, ", $r, "13"),
                "dec {n}",
                "jnz 2b",
                "vzeroupper",
                n = inout(reg) $steps => _,
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _,
                out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _,
                out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _,
                options(nomem, nostack),
            )
        };
    }

    pub fn arithmetic(steps: u64) {
        let steps = steps.max(1);
        if has_avx512() {
            // SAFETY: AVX-512 is there; only the listed registers change, and the loop ends.
            unsafe { fma_loop!(steps, "zmm") }
        } else if has_avx() {
            // SAFETY: AVX and FMA are there; only the listed registers change, and the loop ends.
            unsafe { fma_loop!(steps, "ymm") }
        } else {
            super::plain_arithmetic(steps);
        }
    }

    pub fn operations_per_step() -> u64 {
        match (has_avx512(), has_avx()) {
            (true, _) => 12 * 16 * 2,
            (_, true) => 12 * 8 * 2,
            _ => super::PLAIN_OPERATIONS,
        }
    }

    pub fn read(from: &[Step]) {
        for step in from {
            // SAFETY: `step` is 128 readable bytes, aligned to 128; SSE is part of the architecture.
            unsafe {
                asm!(
                    "movaps xmm0, [{p}]", "movaps xmm1, [{p} + 16]",
                    "movaps xmm2, [{p} + 32]", "movaps xmm3, [{p} + 48]",
                    "movaps xmm4, [{p} + 64]", "movaps xmm5, [{p} + 80]",
                    "movaps xmm6, [{p} + 96]", "movaps xmm7, [{p} + 112]",
                    p = in(reg) step,
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                    out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                    options(nostack, readonly, preserves_flags),
                );
            }
        }
    }

    macro_rules! copy_loop {
        ($from:expr, $to:expr, $store:literal) => {
            for (from, to) in $from.iter().zip($to) {
                // SAFETY: both are 128 bytes, aligned to 128, and distinct by their types.
                unsafe {
                    asm!(
                        "movaps xmm0, [{f}]", "movaps xmm1, [{f} + 16]",
                        "movaps xmm2, [{f} + 32]", "movaps xmm3, [{f} + 48]",
                        "movaps xmm4, [{f} + 64]", "movaps xmm5, [{f} + 80]",
                        "movaps xmm6, [{f} + 96]", "movaps xmm7, [{f} + 112]",
                        concat!($store, " [{t}], xmm0"), concat!($store, " [{t} + 16], xmm1"),
                        concat!($store, " [{t} + 32], xmm2"), concat!($store, " [{t} + 48], xmm3"),
                        concat!($store, " [{t} + 64], xmm4"), concat!($store, " [{t} + 80], xmm5"),
                        concat!($store, " [{t} + 96], xmm6"), concat!($store, " [{t} + 112], xmm7"),
                        f = in(reg) from,
                        t = in(reg) to,
                        out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                        out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                        options(nostack, preserves_flags),
                    );
                }
            }
        };
    }

    pub fn copy(from: &[Step], to: &mut [Step]) {
        copy_loop!(from, to, "movaps");
    }

    pub fn stream(from: &[Step], to: &mut [Step]) {
        copy_loop!(from, to, "movntps");
        // SAFETY: the instruction orders the streaming stores and touches nothing else.
        unsafe { asm!("sfence", options(nostack, preserves_flags)) }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod machine {
    use std::hint::black_box;

    use super::Step;

    pub fn arithmetic(steps: u64) {
        super::plain_arithmetic(steps);
    }

    pub fn operations_per_step() -> u64 {
        super::PLAIN_OPERATIONS
    }

    pub fn read(from: &[Step]) {
        let sum = |step: &Step| step.0.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        black_box(from.iter().map(sum).fold(0u8, u8::wrapping_add));
    }

    pub fn copy(from: &[Step], to: &mut [Step]) {
        to.copy_from_slice(from);
        black_box(to);
    }

    /// The architecture's ordinary copy: it chooses its stores by itself.
    pub fn stream(from: &[Step], to: &mut [Step]) {
        copy(from, to);
    }
}

use machine::{arithmetic, copy, operations_per_step, read, stream};

/// Multiply-adds of [`plain_arithmetic`] in one step, times two.
const PLAIN_OPERATIONS: u64 = 64 * 2;

/// What the compiler makes of sixty-four independent multiply-adds.
fn plain_arithmetic(steps: u64) {
    let mut sums = [0.0f32; 64];
    let factor = std::hint::black_box(1.5f32);
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = *sum * factor + 1e-30;
        }
    }
    std::hint::black_box(sums);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_copy() {
        let from = AlignedBuffer::new(4096, 7);
        let mut to = AlignedBuffer::new(4096, 0);
        copy(from.steps(), to.steps_mut());
        assert!(to.steps().iter().all(|step| step.0 == [7; STEP]));
        let mut to = AlignedBuffer::new(4096, 0);
        stream(from.steps(), to.steps_mut());
        assert!(to.steps().iter().all(|step| step.0 == [7; STEP]));
        read(from.steps());
        plain_arithmetic(2);
    }

    #[test]
    fn limits_are_plausible() {
        let limits = measure_limits(2);
        assert!(
            limits.fma_gflops > 0.5 && limits.fma_gflops < 1e5,
            "{limits:?}"
        );
        for rate in [limits.read_gbs, limits.copy_gbs, limits.stream_gbs] {
            assert!(rate > 0.05 && rate < 1e4, "{limits:?}");
        }
    }
}
