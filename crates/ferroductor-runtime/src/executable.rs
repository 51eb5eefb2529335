//! A program with its kernels, operators and constants: what is called.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ferroductor_abi::{Input, KernelFn, Launch, Output, Program, SizeCode, SizeEntry, Step};

use crate::block::BlockPool;
use crate::frame::{Frame, State};
use crate::host::{AtenCalls, Host, RunError};
use crate::parallel::{Job, launch};
use crate::profile::Profile;
use crate::verify::{ProgramError, verify};

/// States kept for the next call; more than this many concurrent calls allocate anew.
const KEEP_STATES: usize = 8;
/// Native work of this length is worth giving the interpreter lock up.
const SUSPEND_NS: i64 = 20_000;

/// Machine code of a program's kernels, by `KernelId`.
pub struct Kernels {
    pub functions: Vec<KernelFn>,
    /// Keeps the code loaded.
    pub owner: Box<dyn Any + Send + Sync>,
}

impl Kernels {
    /// For a program without kernels.
    pub fn none() -> Kernels {
        Kernels {
            functions: Vec::new(),
            owner: Box::new(()),
        }
    }
}

/// An input as the caller reads it.
pub enum InputValue<H: Host> {
    Tensor(H::Tensor),
    Size(i64),
    Opaque(H::Value),
}

/// An output as the caller takes it.
pub enum OutputValue<H: Host> {
    None,
    Tensor(H::Tensor),
    Size(i64),
    Value(H::Value),
}

/// Reads the input of a position.
pub type Read<'a, H> = dyn FnMut(usize, &Input) -> Result<InputValue<H>, RunError> + 'a;
/// Takes the next output.
pub type Write<'a, H> = dyn FnMut(OutputValue<H>) -> Result<(), RunError> + 'a;

/// A program ready to run, from any thread, several calls at once.
pub struct Executable<H: Host> {
    program: Program,
    kernels: Kernels,
    calls: Box<dyn AtenCalls<H>>,
    constants: Vec<H::Tensor>,
    opaque: usize,
    states: Mutex<Vec<State<H>>>,
    profile: Option<Arc<Profile>>,
}

// SAFETY: kernels are functions, constants are only shared by reference counts that the host
// keeps atomic, and everything else is immutable or behind the mutex.
unsafe impl<H: Host> Sync for Executable<H> {}

impl<H: Host> Executable<H> {
    pub fn new(
        program: Program,
        kernels: Kernels,
        calls: Box<dyn AtenCalls<H>>,
        constants: Vec<H::Tensor>,
    ) -> Result<Executable<H>, ProgramError> {
        verify(&program, kernels.functions.len())?;
        if constants.len() != program.constants.len() {
            return Err(ProgramError(format!(
                "{} constants for {}",
                constants.len(),
                program.constants.len()
            )));
        }
        let opaque = program.inputs.iter().map(opaque_count).max().unwrap_or(0);
        Ok(Executable {
            program,
            kernels,
            calls,
            constants,
            opaque,
            states: Mutex::default(),
            profile: None,
        })
    }

    /// Measures every step from now on.
    pub fn profiled(mut self) -> Executable<H> {
        self.profile = Some(Arc::new(Profile::new(self.program.steps.len())));
        self
    }

    /// The time of each step of the program over all calls, if it is measured.
    pub fn profile(&self) -> Option<Arc<Profile>> {
        self.profile.clone()
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Runs the program once. `read` is asked for each input in order, `write` gets each output.
    /// The interpreter lock is held when this is called, and when it returns.
    pub fn run(
        &self,
        host: &H,
        read: &mut Read<'_, H>,
        write: &mut Write<'_, H>,
    ) -> Result<(), RunError> {
        let state = self.states.lock().ok().and_then(|mut states| states.pop());
        let mut frame = Frame {
            host,
            program: &self.program,
            constants: &self.constants,
            state: state.unwrap_or_else(|| State::new(&self.program, self.opaque)),
        };
        let result = self
            .start(&mut frame, read)
            .and_then(|()| self.steps(&mut frame))
            .and_then(|()| self.outputs(&mut frame, write));
        let mut state = frame.state;
        state.clear();
        if let Ok(mut states) = self.states.lock()
            && states.len() < KEEP_STATES
        {
            states.push(state);
        }
        result
    }

    fn start(&self, frame: &mut Frame<'_, H>, read: &mut Read<'_, H>) -> Result<(), RunError> {
        for (at, input) in self.program.inputs.iter().enumerate() {
            match (input, read(at, input)?) {
                (Input::Tensor { buffer }, InputValue::Tensor(tensor)) => {
                    frame.state.slots[buffer.0 as usize].tensor = Some(tensor);
                }
                (Input::Size { slot }, InputValue::Size(value)) => frame.set_size(*slot, value),
                (Input::Opaque { index }, InputValue::Opaque(value)) => {
                    frame.state.opaque[*index as usize] = Some(value);
                }
                _ => return Err(RunError::runtime(format!("input {at} is of another kind"))),
            }
        }
        self.early_sizes(frame)?;
        self.check_inputs(frame)?;
        if !self.constants.is_empty() {
            frame.set_constants()?;
        }
        if let Some(arena) = self.program.arena {
            let bytes = frame.dim(arena);
            let block = usize::try_from(bytes).ok().and_then(BlockPool::take);
            frame.state.arena = Some(
                block.ok_or_else(|| RunError::runtime(format!("out of memory: {bytes} bytes")))?,
            );
        }
        Ok(())
    }

    fn early_sizes(&self, frame: &mut Frame<'_, H>) -> Result<(), RunError> {
        for (slot, entry) in self.program.sizes.iter().enumerate() {
            let value = match entry {
                SizeEntry::InputDim { input, dim } | SizeEntry::InputStride { input, dim } => {
                    let Some(Input::Tensor { buffer }) = self.program.inputs.get(*input as usize)
                    else {
                        return Err(RunError::runtime("internal error: a size of no tensor"));
                    };
                    let Some(tensor) = &frame.state.slots[buffer.0 as usize].tensor else {
                        return Err(RunError::runtime("internal error: a size of no tensor"));
                    };
                    let geometry = frame.host.geometry(tensor)?;
                    let dims = match entry {
                        SizeEntry::InputDim { .. } => geometry.sizes,
                        _ => geometry.strides,
                    };
                    *dims.get(*dim as usize).ok_or_else(|| {
                        RunError::runtime(format!(
                            "input {input} has only {} dimensions",
                            dims.len()
                        ))
                    })?
                }
                SizeEntry::Code(code) => eval(code, &frame.state.sizes)?,
                SizeEntry::Input(_) | SizeEntry::Unbacked | SizeEntry::Late(_) => continue,
            };
            frame.set_size(slot as u32, value);
        }
        Ok(())
    }

    fn check_inputs(&self, frame: &mut Frame<'_, H>) -> Result<(), RunError> {
        for input in &self.program.inputs {
            let Input::Tensor { buffer } = input else {
                continue;
            };
            if self.program.buffers[buffer.0 as usize].item == 0 {
                continue;
            }
            if let Some(tensor) = &frame.state.slots[buffer.0 as usize].tensor {
                let geometry = frame.host.geometry(tensor)?;
                frame.check(*buffer, &geometry)?;
            }
        }
        Ok(())
    }

    fn steps(&self, frame: &mut Frame<'_, H>) -> Result<(), RunError> {
        let long = self.program.cost_ns as i64 >= SUSPEND_NS;
        let mut suspended: Option<H::Suspended> = None;
        for (at, step) in self.program.steps.iter().enumerate() {
            let begin = self.profile.as_ref().map(|_| Instant::now());
            match step {
                Step::Kernel(job) => self.kernel(frame, job, long, &mut suspended)?,
                Step::Aten { call } => {
                    if self.calls.needs_interpreter(*call) {
                        suspended = None;
                    } else if long && suspended.is_none() {
                        suspended = Some(frame.host.suspend());
                    }
                    self.calls.call(*call, frame)?;
                }
                Step::Sizes { begin, end } => {
                    for slot in *begin..*end {
                        if let SizeEntry::Late(code) = &self.program.sizes[slot as usize] {
                            let value = eval(code, &frame.state.sizes)?;
                            frame.set_size(slot, value);
                        }
                    }
                }
                Step::Release { buffer } => frame.state.slots[buffer.0 as usize].clear(),
            }
            if let (Some(profile), Some(begin)) = (&self.profile, begin) {
                profile.add(at, begin);
            }
        }
        Ok(())
    }

    fn kernel(
        &self,
        frame: &mut Frame<'_, H>,
        step: &Launch,
        long: bool,
        suspended: &mut Option<H::Suspended>,
    ) -> Result<(), RunError> {
        let mut pointers = std::mem::take(&mut frame.state.pointers);
        let mut sizes = std::mem::take(&mut frame.state.arguments);
        pointers.clear();
        sizes.clear();
        for buffer in &step.buffers {
            pointers.push(frame.pointer(*buffer)?);
        }
        for at in &step.aligned {
            if !pointers[*at as usize].addr().is_multiple_of(64) {
                return Err(RunError::runtime("internal error: a buffer is not aligned"));
            }
        }
        sizes.extend(step.sizes.iter().map(|d| frame.dim(*d)));
        let scratch = usize::try_from(frame.dim(step.scratch))
            .map_err(|_| RunError::runtime("internal error: a negative scratch size"))?;
        let job = Job {
            kernel: self.kernels.functions[step.kernel.0 as usize],
            pointers: &pointers,
            sizes: &sizes,
            scratch,
            tiles: frame.dim(step.tiles),
            tile_ns: step.tile_ns,
        };
        if suspended.is_none() && (long || job.nanoseconds() >= SUSPEND_NS) {
            *suspended = Some(frame.host.suspend());
        }
        let code = launch(frame.host, &job)?;
        frame.state.pointers = pointers;
        frame.state.arguments = sizes;
        if code == 0 {
            Ok(())
        } else {
            Err(kernel_error(step, code))
        }
    }

    fn outputs(&self, frame: &mut Frame<'_, H>, write: &mut Write<'_, H>) -> Result<(), RunError> {
        // All tensors first: a view is cut out of its base before the base is handed out.
        for output in &self.program.outputs {
            if let Output::Tensor(buffer) = output {
                if self.program.buffers[buffer.0 as usize].item > 0 {
                    // What leaves has the strides that the graph's metadata promise.
                    frame.pointer(*buffer)?;
                }
                frame.tensor(*buffer)?;
            }
        }
        for (at, output) in self.program.outputs.iter().enumerate() {
            let value = match output {
                Output::None => OutputValue::None,
                Output::Size(dim) => OutputValue::Size(frame.dim(*dim)),
                Output::Tensor(buffer) => {
                    let again = self.program.outputs[at + 1..].contains(output);
                    let slot = &mut frame.state.slots[buffer.0 as usize];
                    let tensor = match &slot.tensor {
                        Some(tensor) if again => Some(frame.host.share(tensor)?),
                        _ => slot.tensor.take(),
                    };
                    tensor.map_or(OutputValue::None, OutputValue::Tensor)
                }
                Output::Result { call, index } => match frame.result(*call, *index) {
                    Some(value) => OutputValue::Value(frame.host.share_value(value)),
                    None => return Err(RunError::runtime("internal error: a result is missing")),
                },
                Output::Opaque(index) => match frame.opaque(*index) {
                    Some(value) => OutputValue::Value(frame.host.share_value(value)),
                    None => return Err(RunError::runtime("internal error: an input is missing")),
                },
            };
            write(value)?;
        }
        Ok(())
    }
}

fn opaque_count(input: &Input) -> usize {
    match input {
        Input::Opaque { index } => *index as usize + 1,
        _ => 0,
    }
}

fn eval(code: &SizeCode, table: &[i64]) -> Result<i64, RunError> {
    code.eval(table)
        .ok_or_else(|| RunError::runtime("division by zero in a tensor's size"))
}

fn kernel_error(step: &Launch, code: u32) -> RunError {
    use ferroductor_abi::ErrorKind;
    match step.errors.get(code as usize - 1) {
        Some(error) if error.kind == ErrorKind::Index => RunError::Index(error.message.clone()),
        Some(error) => RunError::Runtime(error.message.clone()),
        None => RunError::runtime(format!("internal error: kernel code {code}")),
    }
}
