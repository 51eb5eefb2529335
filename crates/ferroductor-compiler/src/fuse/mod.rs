//! Which tensors get memory, and which of them are computed by one kernel.
//!
//! [`realize`] picks the tensors that become loop nests and inlines all others into them;
//! [`group`] then joins nests into kernels. Every refusal to join has a reason in words.

pub mod group;
pub mod nest;
pub mod realize;
pub mod unify;

pub use group::{Group, GroupKind, fuse};
pub use nest::{Nest, NestId, Nests};
