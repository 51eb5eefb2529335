//! The compiler proper: from the imported graph to kernels and a program.
//!
//! Reads neither environment nor disk, and knows neither Python nor torch.

pub mod math;
