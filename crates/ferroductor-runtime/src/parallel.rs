//! Runs the tiles of a kernel, on the caller or on the host's threads.
//!
//! Every worker starts with its own contiguous share, so that consecutive kernels find their data
//! in the same core's cache; who is done takes from the others. Tiles are independent, therefore
//! the results do not depend on who runs them.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use ferroductor_abi::{KernelFn, SCRATCH_HEAD};

use crate::host::{Host, RunError};
use crate::scratch::with_scratch;

/// Below this estimate a launch stays on the calling thread: waking a pool costs 1 to 15 µs.
const PARALLEL_NS: i64 = 12_000;
/// A piece of work taken from a share is at least this long.
const PIECE_NS: i64 = 4_000;

/// One launch of a kernel, arguments resolved.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub kernel: KernelFn,
    pub pointers: &'a [*mut u8],
    pub sizes: &'a [i64],
    pub scratch: usize,
    pub tiles: i64,
    pub tile_ns: u32,
}

// SAFETY: the pointers are only handed to the kernel, whose tiles are independent of each other.
unsafe impl Sync for Job<'_> {}

impl Job<'_> {
    /// Estimated time on one thread.
    pub fn nanoseconds(&self) -> i64 {
        self.tiles.saturating_mul(i64::from(self.tile_ns))
    }

    /// Calls `body` with the means to run ranges of tiles, one after the other on the same scratch;
    /// `None` if there is no memory for it.
    fn with_kernel<R>(&self, body: impl FnOnce(&dyn Fn(i64, i64) -> u32) -> R) -> Option<R> {
        with_scratch(self.scratch, |scratch| {
            let head = self.scratch.min(SCRATCH_HEAD);
            if head > 0 {
                // SAFETY: scratch is ours and at least `head` bytes long.
                unsafe { scratch.write_bytes(0, head) };
            }
            body(&|begin, end| {
                // SAFETY: whoever made the job holds `KernelFn`'s conditions: pointers and sizes as
                // the kernel declares; scratch is aligned, private and as large as asked, and this
                // launch alone has written to it since its head was cleared.
                unsafe {
                    (self.kernel)(
                        self.pointers.as_ptr(),
                        self.sizes.as_ptr(),
                        scratch,
                        begin,
                        end,
                    )
                }
            })
        })
    }

    /// Runs all tiles on this thread.
    fn run_alone(&self) -> u32 {
        self.with_kernel(|run| run(0, self.tiles))
            .unwrap_or(NO_SCRATCH)
    }
}

/// The part of the tiles that one worker starts with. A cache line each.
#[repr(align(128))]
struct Share {
    next: AtomicI64,
    end: i64,
}

impl Share {
    /// Takes the first half of what is left, at least `least` tiles.
    fn take(&self, least: i64) -> Option<(i64, i64)> {
        let mut begin = self.next.load(Ordering::Relaxed);
        loop {
            let left = self.end - begin;
            if left <= 0 {
                return None;
            }
            let end = begin + (left / 2).max(least).min(left);
            match self
                .next
                .compare_exchange_weak(begin, end, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some((begin, end)),
                Err(now) => begin = now,
            }
        }
    }
}

/// Out of memory for scratch, as a kernel code that no kernel uses.
const NO_SCRATCH: u32 = u32::MAX;

/// Runs all tiles. Returns the code of a failed check, or 0.
pub fn launch<H: Host>(host: &H, job: &Job<'_>) -> Result<u32, RunError> {
    if job.tiles <= 0 {
        return Ok(0);
    }
    let nanoseconds = job.nanoseconds();
    let code = if job.tiles == 1 || nanoseconds < PARALLEL_NS {
        job.run_alone()
    } else {
        match host.threads() {
            0 | 1 => job.run_alone(),
            threads => launch_on(host, job, threads),
        }
    };
    if code == NO_SCRATCH {
        return Err(RunError::runtime(
            "out of memory: no scratch memory for a kernel",
        ));
    }
    Ok(code)
}

fn launch_on<H: Host>(host: &H, job: &Job<'_>, threads: usize) -> u32 {
    // The team keeps its size: changing it makes OpenMP start threads anew.
    let shares: Vec<Share> = shares(job.tiles, threads);
    let least = (PIECE_NS / i64::from(job.tile_ns.max(1))).max(1);
    let code = AtomicU32::new(0);
    let work = |worker: usize, run: &dyn Fn(i64, i64) -> u32| {
        for turn in 0..threads {
            let share = &shares[(worker + turn) % threads];
            while let Some((begin, end)) = share.take(least) {
                let result = run(begin, end);
                if result != 0 {
                    return result;
                }
            }
        }
        0
    };
    host.parallel(threads, &|worker| {
        let result = job
            .with_kernel(|run| work(worker, run))
            .unwrap_or(NO_SCRATCH);
        if result != 0 {
            code.store(result, Ordering::Relaxed);
        }
    });
    code.into_inner()
}

fn shares(tiles: i64, threads: usize) -> Vec<Share> {
    let threads = threads as i64;
    let cut = |worker: i64| (tiles as i128 * worker as i128 / threads as i128) as i64;
    (0..threads)
        .map(|w| Share {
            next: AtomicI64::new(cut(w)),
            end: cut(w + 1),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_all_tiles_once() {
        for (tiles, threads) in [(1, 2), (7, 3), (100, 8), (i64::MAX / 2, 64)] {
            let shares = shares(tiles, threads);
            assert_eq!(shares[0].next.load(Ordering::Relaxed), 0);
            assert_eq!(shares.last().unwrap().end, tiles);
            for pair in shares.windows(2) {
                assert_eq!(pair[0].end, pair[1].next.load(Ordering::Relaxed));
            }
        }
    }

    #[test]
    fn a_share_is_taken_in_halves_down_to_the_least() {
        let share = Share {
            next: AtomicI64::new(10),
            end: 30,
        };
        let mut pieces = Vec::new();
        while let Some(piece) = share.take(4) {
            pieces.push(piece);
        }
        assert_eq!(pieces, vec![(10, 20), (20, 25), (25, 29), (29, 30)]);
    }
}
