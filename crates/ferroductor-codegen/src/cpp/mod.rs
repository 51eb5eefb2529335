//! The C++ emitter.
