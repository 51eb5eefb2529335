//! Each thread's scratch memory, kept between calls and grown when a kernel needs more.

use std::cell::RefCell;

use crate::block::{Block, BlockPool};

thread_local! {
    static SCRATCH: RefCell<Option<Block>> = const { RefCell::new(None) };
}

/// Calls `body` with at least `bytes` bytes, 64-byte aligned and private to this thread; `None` if
/// there is no memory. A nested use gets memory of its own.
pub fn with_scratch<R>(bytes: usize, body: impl FnOnce(*mut u8) -> R) -> Option<R> {
    if bytes == 0 {
        return Some(body(std::ptr::null_mut()));
    }
    let kept = SCRATCH.with(|s| s.try_borrow_mut().ok().and_then(|mut s| s.take()));
    let block = match kept.filter(|b| b.bytes() >= bytes) {
        Some(block) => block,
        None => BlockPool::take(bytes)?,
    };
    let result = body(block.data());
    SCRATCH.with(|s| {
        if let Ok(mut slot) = s.try_borrow_mut() {
            *slot = Some(block);
        }
    });
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_is_reused_and_nested_uses_are_apart() {
        let first = with_scratch(1000, |p| p as usize).unwrap();
        let again = with_scratch(500, |outer| {
            let inner = with_scratch(500, |inner| inner as usize).unwrap();
            assert_ne!(outer as usize, inner);
            outer as usize
        });
        assert_eq!(again, Some(first));
        assert_eq!(with_scratch(0, |p| p.is_null()), Some(true));
    }
}
