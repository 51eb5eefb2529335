//! Executes a compiled [`ferroductor_abi::Program`].
//!
//! The runtime owns the size table, the arena, the buffers of a call and the launch of kernels. It
//! knows neither torch nor Python: what it needs of the surroundings stands in [`Host`] (tensors
//! and threads) and [`AtenCalls`] (operators). Programs are immutable; any thread may run one.

mod block;
mod executable;
mod frame;
mod host;
mod limits;
mod parallel;
mod profile;
mod scratch;
mod verify;

pub use block::{Block, BlockPool};
pub use executable::{Executable, InputValue, Kernels, OutputValue, Read, Write};
pub use frame::Frame;
pub use host::{AtenCalls, Geometry, Host, RunError};
pub use limits::{Limits, measure_limits};
pub use profile::{Profile, StepTime};
pub use verify::{ProgramError, verify};
