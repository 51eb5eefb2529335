//! The runtime's host for torch: tensors, thread pool and operators through the C functions of the
//! libtorch that the process has loaded. No header, no C++, no Python.
//!
//! What must hold: this crate loads no library; it only finds symbols in one that is loaded.

mod host;
mod ops;
mod shim;
mod tensor;

pub use host::{Interpreter, TorchHost};
pub use ops::TorchCalls;
pub use shim::{Shim, TorchError};
pub use tensor::TorchTensor;
