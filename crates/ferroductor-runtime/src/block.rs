//! Memory blocks that are kept between calls: arenas and large outputs.
//!
//! What must hold: the pool never keeps more than its limit; a block belongs to the pool or to one
//! owner. Blocks are 64-byte aligned; from [`HUGE`] on they are their own mapping, aligned for huge
//! pages and advised to use them, because a fresh page costs more than writing it.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;
use std::sync::Mutex;

/// Blocks of this size and above are mapped on their own.
const HUGE: usize = 2 << 20;
const ALIGN: usize = 64;
/// Free bytes that the process keeps at most.
const KEEP_BYTES: usize = 512 << 20;
/// Free blocks that the process keeps at most.
const KEEP_BLOCKS: usize = 64;

/// Uninitialised memory with one owner. Dropping it gives it back to the pool.
#[derive(Debug)]
pub struct Block {
    data: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a block is plain memory with a single owner.
unsafe impl Send for Block {}
// SAFETY: a shared block only yields its address.
unsafe impl Sync for Block {}

impl Block {
    pub fn data(&self) -> *mut u8 {
        self.data.as_ptr()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The address and size, to be handed to [`Block::from_raw`] later.
    pub fn into_raw(self) -> (*mut u8, usize) {
        let raw = (self.data.as_ptr(), self.bytes);
        std::mem::forget(self);
        raw
    }

    /// # Safety
    /// The pair comes from [`Block::into_raw`] and is used once.
    pub unsafe fn from_raw(data: *mut u8, bytes: usize) -> Option<Block> {
        NonNull::new(data).map(|data| Block { data, bytes })
    }

    fn map(bytes: usize) -> Option<Block> {
        let bytes = bytes.checked_next_multiple_of(HUGE)?;
        // One huge page more than needed, so that an aligned part can be cut out.
        let mapped = bytes.checked_add(HUGE)?;
        // SAFETY: an anonymous private mapping at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return None;
        }
        let base = base.cast::<u8>();
        let skip = base.align_offset(HUGE);
        // SAFETY: `skip < HUGE` and the mapping is `bytes + HUGE` long, so the cut parts lie in it
        // and do not touch the block; a failed advice leaves ordinary pages.
        unsafe {
            if skip > 0 {
                libc::munmap(base.cast(), skip);
            }
            let data = base.add(skip);
            if HUGE > skip {
                libc::munmap(data.add(bytes).cast(), HUGE - skip);
            }
            #[cfg(target_os = "linux")]
            libc::madvise(data.cast(), bytes, libc::MADV_HUGEPAGE);
            NonNull::new(data).map(|data| Block { data, bytes })
        }
    }

    fn fresh(bytes: usize) -> Option<Block> {
        let bytes = bytes.max(1).checked_next_multiple_of(4096)?;
        if bytes >= HUGE {
            return Block::map(bytes);
        }
        let layout = Layout::from_size_align(bytes, ALIGN).ok()?;
        // SAFETY: the layout has a size above zero.
        NonNull::new(unsafe { alloc(layout) }).map(|data| Block { data, bytes })
    }

    fn free(self) {
        let (data, bytes) = self.into_raw();
        if bytes >= HUGE {
            // SAFETY: `map` made this mapping with exactly this start and length.
            unsafe { libc::munmap(data.cast(), bytes) };
        } else if let Ok(layout) = Layout::from_size_align(bytes, ALIGN) {
            // SAFETY: `fresh` allocated it with this layout.
            unsafe { dealloc(data, layout) };
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let block = Block {
            data: self.data,
            bytes: self.bytes,
        };
        POOL.give(block);
    }
}

/// Free blocks of the process.
pub struct BlockPool {
    free: Mutex<Vec<Block>>,
}

static POOL: BlockPool = BlockPool {
    free: Mutex::new(Vec::new()),
};

impl BlockPool {
    /// At least `bytes` bytes; `None` if the system has no more.
    pub fn take(bytes: usize) -> Option<Block> {
        POOL.find(bytes).or_else(|| Block::fresh(bytes))
    }

    /// The smallest free block that is large enough and wastes less than half of itself.
    fn find(&self, bytes: usize) -> Option<Block> {
        let mut free = self.free.lock().ok()?;
        let (at, _) = free
            .iter()
            .enumerate()
            .filter(|(_, b)| b.bytes >= bytes && (b.bytes / 2 <= bytes || b.bytes <= 1 << 16))
            .min_by_key(|(_, b)| b.bytes)?;
        Some(free.remove(at))
    }

    fn give(&self, block: Block) {
        let Ok(mut free) = self.free.lock() else {
            block.free();
            return;
        };
        free.push(block);
        let mut kept: usize = free.iter().map(|b| b.bytes).sum();
        let mut evicted = Vec::new();
        // The oldest go first.
        while !free.is_empty() && (kept > KEEP_BYTES || free.len() > KEEP_BLOCKS) {
            let oldest = free.remove(0);
            kept -= oldest.bytes;
            evicted.push(oldest);
        }
        drop(free);
        evicted.into_iter().for_each(Block::free);
    }

    /// Bytes that are free and kept.
    pub fn kept_bytes() -> usize {
        POOL.free
            .lock()
            .map_or(0, |free| free.iter().map(|b| b.bytes).sum())
    }

    /// Gives every free block back to the system.
    pub fn clear() {
        let blocks = POOL.free.lock().map(|mut free| std::mem::take(&mut *free));
        blocks.unwrap_or_default().into_iter().for_each(Block::free);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_writable_and_reused() {
        for bytes in [1, 4096, HUGE - 1, HUGE, 3 * HUGE + 5] {
            let block = BlockPool::take(bytes).unwrap();
            assert!(block.bytes() >= bytes);
            let align = if block.bytes() >= HUGE { HUGE } else { ALIGN };
            assert_eq!(block.data() as usize % align, 0);
            // SAFETY: the block is ours and at least `bytes` long.
            unsafe { block.data().add(bytes - 1).write(7) };
        }
    }

    #[test]
    fn the_pool_is_bounded() {
        let blocks: Vec<Block> = (0..KEEP_BLOCKS + 9)
            .filter_map(|_| BlockPool::take(9000))
            .collect();
        drop(blocks);
        assert!(POOL.free.lock().unwrap().len() <= KEEP_BLOCKS);
        let large: Vec<Block> = (0..3)
            .filter_map(|_| BlockPool::take(KEEP_BYTES / 2))
            .collect();
        drop(large);
        assert!(BlockPool::kept_bytes() <= KEEP_BYTES);
    }
}
