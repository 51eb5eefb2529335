//! The state of one call: size table, and where each buffer is.
//!
//! What must hold: a buffer's pointer is valid while its slot is ready; arena pointers lie in the
//! call's arena; nothing of a frame outlives the call but what was handed out.

use ferroductor_abi::{Buffer, BufferId, Dim, Place, Program};

use crate::block::{Block, BlockPool};
use crate::host::{Geometry, Host, RunError};

/// Tensors of this size and above live in recycled blocks: a fresh page costs four times as much
/// as writing it.
const RECYCLE_BYTES: usize = 1 << 20;

/// One buffer of a call.
pub(crate) struct Slot<T> {
    pub(crate) pointer: *mut u8,
    /// Is the pointer meaningful?
    pub(crate) ready: bool,
    pub(crate) tensor: Option<T>,
}

impl<T> Slot<T> {
    fn empty() -> Slot<T> {
        Slot {
            pointer: std::ptr::null_mut(),
            ready: false,
            tensor: None,
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Slot::empty();
    }
}

/// Reusable storage of a [`Frame`].
pub(crate) struct State<H: Host> {
    pub(crate) sizes: Vec<i64>,
    pub(crate) slots: Vec<Slot<H::Tensor>>,
    pub(crate) opaque: Vec<Option<H::Value>>,
    /// Results that are not tensors, by call and position.
    pub(crate) results: Vec<((u32, u32), H::Value)>,
    pub(crate) arena: Option<Block>,
    pub(crate) pointers: Vec<*mut u8>,
    pub(crate) arguments: Vec<i64>,
}

// SAFETY: the raw pointers belong to the tensors and the arena that travel with them.
unsafe impl<H: Host> Send for State<H> {}

impl<H: Host> State<H> {
    pub(crate) fn new(program: &Program, opaque: usize) -> State<H> {
        State {
            sizes: vec![0; program.sizes.len()],
            slots: program.buffers.iter().map(|_| Slot::empty()).collect(),
            opaque: (0..opaque).map(|_| None).collect(),
            results: Vec::new(),
            arena: None,
            pointers: Vec::new(),
            arguments: Vec::new(),
        }
    }

    /// Drops everything that belongs to the finished call.
    pub(crate) fn clear(&mut self) {
        self.slots.iter_mut().for_each(|slot| {
            if slot.ready || slot.tensor.is_some() {
                slot.clear();
            }
        });
        self.opaque.iter_mut().for_each(|value| *value = None);
        self.results.clear();
        self.arena = None;
    }
}

/// What steps see of a call.
pub struct Frame<'e, H: Host> {
    pub(crate) host: &'e H,
    pub(crate) program: &'e Program,
    pub(crate) constants: &'e [H::Tensor],
    pub(crate) state: State<H>,
}

impl<H: Host> Frame<'_, H> {
    pub fn host(&self) -> &H {
        self.host
    }

    pub fn program(&self) -> &Program {
        self.program
    }

    /// The value of a size.
    pub fn dim(&self, dim: Dim) -> i64 {
        dim.get(&self.state.sizes)
    }

    pub(crate) fn dims(&self, dims: &[Dim]) -> Vec<i64> {
        dims.iter().map(|d| self.dim(*d)).collect()
    }

    pub(crate) fn set_size(&mut self, slot: u32, value: i64) {
        self.state.sizes[slot as usize] = value;
    }

    /// Stores an integer result that binds a size.
    pub fn bind(&mut self, slot: u32, value: i64) {
        self.set_size(slot, value);
    }

    /// An opaque input.
    pub fn opaque(&self, index: u32) -> Option<&H::Value> {
        self.state.opaque.get(index as usize)?.as_ref()
    }

    /// A result of an earlier call that is no tensor.
    pub fn result(&self, call: u32, index: u32) -> Option<&H::Value> {
        self.state
            .results
            .iter()
            .rev()
            .find(|r| r.0 == (call, index))
            .map(|r| &r.1)
    }

    /// Stores a result that is no tensor.
    pub fn set_result(&mut self, call: u32, index: u32, value: H::Value) {
        self.state.results.push(((call, index), value));
    }

    fn buffer(&self, id: BufferId) -> &'_ Buffer {
        &self.program.buffers[id.0 as usize]
    }

    /// Where results of calls that are placed in our memory go: a tensor to write into. `None` for
    /// a result that the operator allocates itself.
    pub fn destination(&mut self, id: BufferId) -> Result<Option<&H::Tensor>, RunError> {
        match self.buffer(id).place {
            Place::Aten { .. } => Ok(None),
            _ => self.tensor(id).map(Some),
        }
    }

    /// Fresh memory with the geometry the program gives to a result of an operator.
    pub fn allocate_result(&self, id: BufferId) -> Result<H::Tensor, RunError> {
        self.allocate(id)
    }

    /// Stores a tensor result. Binds no sizes.
    pub fn set_tensor(&mut self, id: BufferId, tensor: H::Tensor) -> Result<(), RunError> {
        if !matches!(self.buffer(id).place, Place::Aten { .. }) {
            let host = self.host;
            return host.copy(self.tensor(id)?, &tensor);
        }
        let slot = &mut self.state.slots[id.0 as usize];
        slot.clear();
        slot.tensor = Some(tensor);
        Ok(())
    }

    /// The memory of a tensor that is not of our making, which must have the geometry that the
    /// program promises. A result with other strides is copied.
    fn exact_pointer(&mut self, id: BufferId) -> Result<*mut u8, RunError> {
        let tensor = self.state.slots[id.0 as usize]
            .tensor
            .as_ref()
            .ok_or_else(|| unset(id))?;
        let geometry = self.host.geometry(tensor)?;
        let buffer = self.buffer(id);
        self.check(id, &geometry)?;
        if !geometry
            .sizes
            .iter()
            .zip(&buffer.sizes)
            .all(|(size, dim)| *size == self.dim(*dim))
        {
            return Err(RunError::runtime(format!(
                "a tensor has shape {:?}, the compiled graph expects {:?}",
                geometry.sizes,
                self.dims(&buffer.sizes)
            )));
        }
        if self.has_strides(buffer, &geometry) {
            return Ok(geometry.data);
        }
        if !matches!(buffer.place, Place::Aten { .. }) {
            return Err(RunError::runtime(format!(
                "a tensor has strides {:?}, the compiled graph expects {:?}",
                geometry.strides,
                self.dims(&buffer.strides)
            )));
        }
        let exact = self.allocate(id)?;
        self.host.copy(&exact, tensor)?;
        let pointer = self.host.geometry(&exact)?.data;
        self.state.slots[id.0 as usize].tensor = Some(exact);
        Ok(pointer)
    }

    fn has_strides(&self, buffer: &Buffer, geometry: &Geometry<'_>) -> bool {
        geometry.sizes.contains(&0)
            || geometry
                .sizes
                .iter()
                .zip(geometry.strides.iter().zip(&buffer.strides))
                .all(|(size, (stride, dim))| *size == 1 || *stride == self.dim(*dim))
    }

    /// Refuses a tensor of another kind than the program was compiled for.
    pub(crate) fn check(&self, id: BufferId, geometry: &Geometry<'_>) -> Result<(), RunError> {
        let buffer = self.buffer(id);
        if !geometry.on_cpu
            || geometry.dtype != buffer.dtype
            || geometry.sizes.len() != buffer.sizes.len()
        {
            return Err(RunError::runtime(format!(
                "a tensor with {} dimensions and dtype code {}{} does not fit the compiled graph, \
                 which expects {} dimensions and dtype code {} on the CPU",
                geometry.sizes.len(),
                geometry.dtype,
                if geometry.on_cpu {
                    ""
                } else {
                    " on another device"
                },
                buffer.sizes.len(),
                buffer.dtype,
            )));
        }
        Ok(())
    }

    /// Memory for an output or a result, recycled if it is large.
    fn allocate(&self, id: BufferId) -> Result<H::Tensor, RunError> {
        let buffer = self.buffer(id);
        let mut inline = [0i64; 16];
        let rank = buffer.sizes.len();
        let heap;
        let dims: &[i64] = if rank * 2 <= inline.len() {
            for (to, dim) in inline
                .iter_mut()
                .zip(buffer.sizes.iter().chain(&buffer.strides))
            {
                *to = self.dim(*dim);
            }
            &inline[..rank * 2]
        } else {
            heap = buffer
                .sizes
                .iter()
                .chain(&buffer.strides)
                .map(|d| self.dim(*d))
                .collect::<Vec<_>>();
            &heap
        };
        let (sizes, strides) = dims.split_at(rank);
        let bytes = storage_bytes(sizes, strides, buffer.item).ok_or_else(|| {
            RunError::runtime(format!("a tensor of shape {sizes:?} is too large"))
        })?;
        if bytes >= RECYCLE_BYTES && self.host.can_adopt() {
            let block = BlockPool::take(bytes)
                .ok_or_else(|| RunError::runtime(format!("out of memory: {bytes} bytes")))?;
            return self.host.adopt(block, sizes, strides, buffer.dtype);
        }
        self.host.allocate(sizes, strides, buffer.dtype)
    }

    /// The first element of a buffer.
    pub fn pointer(&mut self, id: BufferId) -> Result<*mut u8, RunError> {
        let at = id.0 as usize;
        if self.state.slots[at].ready {
            return Ok(self.state.slots[at].pointer);
        }
        let buffer = self.buffer(id);
        let pointer = match buffer.place {
            Place::Arena { offset } => self.arena_pointer(offset)?,
            Place::Output => {
                let tensor = self.allocate(id)?;
                let pointer = self.host.geometry(&tensor)?.data;
                self.state.slots[at].tensor = Some(tensor);
                pointer
            }
            Place::View { of, offset } => {
                let bytes = self.dim(offset).wrapping_mul(i64::from(buffer.item));
                self.pointer(of)?.wrapping_offset(bytes as isize)
            }
            Place::Input(_) | Place::Constant(_) | Place::Aten { .. } => self.exact_pointer(id)?,
        };
        self.state.slots[at].pointer = pointer;
        self.state.slots[at].ready = true;
        Ok(pointer)
    }

    fn arena_pointer(&self, offset: Dim) -> Result<*mut u8, RunError> {
        let arena = self.state.arena.as_ref();
        let offset = usize::try_from(self.dim(offset)).ok();
        match (arena, offset) {
            (Some(arena), Some(offset)) if offset <= arena.bytes() => {
                Ok(arena.data().wrapping_add(offset))
            }
            _ => Err(RunError::runtime(
                "internal error: a buffer lies outside the arena",
            )),
        }
    }

    /// The buffer as a tensor, made where it is none yet.
    pub fn tensor(&mut self, id: BufferId) -> Result<&H::Tensor, RunError> {
        let at = id.0 as usize;
        if self.state.slots[at].tensor.is_none() {
            let tensor = self.make_tensor(id)?;
            if let Some(tensor) = tensor {
                self.state.slots[at].tensor = Some(tensor);
            }
        }
        self.state.slots[at]
            .tensor
            .as_ref()
            .ok_or_else(|| unset(id))
    }

    /// `None` where finding the pointer has made the tensor.
    fn make_tensor(&mut self, id: BufferId) -> Result<Option<H::Tensor>, RunError> {
        let host = self.host;
        match self.buffer(id).place {
            Place::Output => {
                self.pointer(id)?;
                Ok(None)
            }
            Place::Arena { .. } => self.borrow(id).map(Some),
            Place::View { of, offset } => {
                let root = self.root(of);
                if matches!(self.buffer(root).place, Place::Arena { .. }) {
                    return self.borrow(id).map(Some);
                }
                let (sizes, strides, offset) = {
                    let buffer = self.buffer(id);
                    (
                        self.dims(&buffer.sizes),
                        self.dims(&buffer.strides),
                        self.dim(offset),
                    )
                };
                // The offset counts from the base as the program lays it out.
                self.pointer(of)?;
                host.view(self.tensor(of)?, &sizes, &strides, offset)
                    .map(Some)
            }
            Place::Input(_) | Place::Constant(_) | Place::Aten { .. } => Err(unset(id)),
        }
    }

    fn root(&self, id: BufferId) -> BufferId {
        let mut at = id;
        while let Place::View { of, .. } = self.buffer(at).place {
            at = of;
        }
        at
    }

    fn borrow(&mut self, id: BufferId) -> Result<H::Tensor, RunError> {
        let pointer = self.pointer(id)?;
        let buffer = self.buffer(id);
        let (sizes, strides) = (self.dims(&buffer.sizes), self.dims(&buffer.strides));
        // SAFETY: the plan gives the buffer its place in the arena, which lives as long as the
        // frame; operators that may keep an argument get owned storage instead.
        unsafe { self.host.borrow(pointer, &sizes, &strides, buffer.dtype) }
    }

    pub(crate) fn set_constants(&mut self) -> Result<(), RunError> {
        for (at, buffer) in self.program.buffers.iter().enumerate() {
            if let Place::Constant(index) = buffer.place {
                let tensor = self
                    .constants
                    .get(index as usize)
                    .ok_or_else(|| unset(BufferId(at as u32)))?;
                self.state.slots[at].tensor = Some(self.host.share(tensor)?);
            }
        }
        Ok(())
    }
}

fn unset(id: BufferId) -> RunError {
    RunError::runtime(format!(
        "internal error: buffer {} is used before it has a value",
        id.0
    ))
}

/// Bytes from the first to the last element; `None` on overflow or a negative size.
fn storage_bytes(sizes: &[i64], strides: &[i64], item: u32) -> Option<usize> {
    let mut last: i64 = 0;
    for (size, stride) in sizes.iter().zip(strides) {
        match size {
            i64::MIN..=-1 => return None,
            0 => return Some(0),
            _ => last = last.checked_add((size - 1).checked_mul(*stride)?)?,
        }
    }
    usize::try_from(last.checked_add(1)?.checked_mul(i64::from(item))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_counts_what_is_addressed() {
        assert_eq!(storage_bytes(&[3, 4], &[4, 1], 4), Some(48));
        assert_eq!(storage_bytes(&[3, 4], &[0, 2], 8), Some(56));
        assert_eq!(storage_bytes(&[], &[], 2), Some(2));
        assert_eq!(storage_bytes(&[3, 0], &[1, 1], 4), Some(0));
        assert_eq!(storage_bytes(&[i64::MAX, 3], &[4, 1], 4), None);
        assert_eq!(storage_bytes(&[-1], &[1], 4), None);
    }
}
