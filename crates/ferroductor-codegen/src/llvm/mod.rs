//! The LLVM emitter.
