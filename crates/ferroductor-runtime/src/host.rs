//! What the runtime needs of its surroundings.

use std::fmt;

use crate::block::Block;
use crate::frame::Frame;

/// What a tensor is made of. Borrowed from the tensor.
#[derive(Clone, Copy, Debug)]
pub struct Geometry<'t> {
    /// First element; the storage offset is included. Null for an empty tensor.
    pub data: *mut u8,
    /// `c10::ScalarType`.
    pub dtype: i32,
    pub sizes: &'t [i64],
    /// In elements.
    pub strides: &'t [i64],
    pub on_cpu: bool,
}

/// Tensors and threads of the host.
pub trait Host: Send + Sync + Sized {
    /// An owning reference to a tensor.
    type Tensor: Send;
    /// A value of the host that is no tensor, such as a generator or a float object.
    type Value: Send;
    /// While it lives, the host's interpreter lock is not held; dropping it takes the lock again.
    type Suspended;

    /// Fails for a tensor without memory (sparse, fake, undefined).
    fn geometry<'t>(&self, tensor: &'t Self::Tensor) -> Result<Geometry<'t>, RunError>;
    /// A fresh tensor in host memory with undefined contents.
    fn allocate(
        &self,
        sizes: &[i64],
        strides: &[i64],
        dtype: i32,
    ) -> Result<Self::Tensor, RunError>;
    /// A tensor that owns the block; `None` gives the block back where the host cannot do that.
    fn adopt(
        &self,
        block: Block,
        sizes: &[i64],
        strides: &[i64],
        dtype: i32,
    ) -> Result<Self::Tensor, RunError>;
    /// Can the host own blocks of ours?
    fn can_adopt(&self) -> bool;
    /// A tensor over memory of ours.
    ///
    /// # Safety
    /// The memory holds what the geometry describes and outlives every use of the tensor.
    unsafe fn borrow(
        &self,
        data: *mut u8,
        sizes: &[i64],
        strides: &[i64],
        dtype: i32,
    ) -> Result<Self::Tensor, RunError>;
    /// A tensor on the same storage, `offset` elements behind the first element of `of`.
    fn view(
        &self,
        of: &Self::Tensor,
        sizes: &[i64],
        strides: &[i64],
        offset: i64,
    ) -> Result<Self::Tensor, RunError>;
    /// Another reference to the same tensor.
    fn share(&self, tensor: &Self::Tensor) -> Result<Self::Tensor, RunError>;
    /// Another reference to the same value. The interpreter lock is held.
    fn share_value(&self, value: &Self::Value) -> Self::Value;
    /// Copies element by element between equal shapes.
    fn copy(&self, to: &Self::Tensor, from: &Self::Tensor) -> Result<(), RunError>;

    /// Threads that [`Host::parallel`] uses when called from this thread.
    fn threads(&self) -> usize;
    /// Calls `body(0..workers)`, each once, on the host's own pool; returns when all are done.
    /// `body` must not unwind.
    fn parallel(&self, workers: usize, body: &(dyn Fn(usize) + Sync));
    /// Gives the interpreter lock up.
    fn suspend(&self) -> Self::Suspended;
}

/// The operators of one program, in the order of `Program::aten`.
pub trait AtenCalls<H: Host>: Send + Sync {
    /// Must the interpreter lock be held for this call?
    fn needs_interpreter(&self, call: u32) -> bool;
    /// Reads its arguments from the frame and stores its results there.
    fn call(&self, call: u32, frame: &mut Frame<'_, H>) -> Result<(), RunError>;
}

/// Why a call of a program failed.
#[derive(Debug)]
pub enum RunError {
    /// An index out of bounds, as eager would report it.
    Index(String),
    Runtime(String),
    /// The host's own error, handed on as it is.
    Host(Box<dyn std::error::Error + Send + Sync>),
}

impl RunError {
    pub fn runtime(text: impl Into<String>) -> RunError {
        RunError::Runtime(text.into())
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Index(text) | RunError::Runtime(text) => f.write_str(text),
            RunError::Host(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RunError {}
