//! Time spent in each step of a program, over all its calls.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Calls of a step and the time they took, on the calling thread's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepTime {
    pub calls: u64,
    pub total: Duration,
}

/// One counter for each step; threads add to them at once.
pub struct Profile(Vec<Counter>);

#[derive(Default)]
struct Counter {
    calls: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Profile {
    pub(crate) fn new(steps: usize) -> Profile {
        Profile((0..steps).map(|_| Counter::default()).collect())
    }

    pub(crate) fn add(&self, step: usize, since: Instant) {
        let counter = &self.0[step];
        counter.calls.fetch_add(1, Relaxed);
        let time = since.elapsed().as_nanos();
        let time = u64::try_from(time).unwrap_or(u64::MAX);
        counter.nanoseconds.fetch_add(time, Relaxed);
    }

    /// The steps in the program's order.
    pub fn times(&self) -> Vec<StepTime> {
        let time = |counter: &Counter| StepTime {
            calls: counter.calls.load(Relaxed),
            total: Duration::from_nanos(counter.nanoseconds.load(Relaxed)),
        };
        self.0.iter().map(time).collect()
    }
}
