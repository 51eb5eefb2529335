//! Options, pipeline, reports and dumps: the one place that wires the stages together, and the
//! only one that reads the environment.

mod cpp;
mod dump;
mod error;
mod kernels;
mod options;
mod pipeline;
mod report;

pub use error::DriverError;
pub use options::{Codegen, Numerics, OnError, OptionError, Options, Setting, known_options};
pub use pipeline::{CompiledGraph, compile};
pub use report::{Class, GraphReport, NodeReport, Stage, StepReport, totals};
