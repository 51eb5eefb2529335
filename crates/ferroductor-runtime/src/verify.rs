//! Checks that a program is well formed, so that running it needs no checks of ids.
//!
//! What is checked: every id and slot exists; views refer to earlier buffers; size code reads
//! earlier entries; the arena is measured before the first step; calls and results refer to calls
//! placed before.

use std::fmt;

use ferroductor_abi::{
    AtenArg, Bind, BufferId, Dim, Input, Output, Place, Program, SizeCode, SizeEntry, SizeOp, Step,
};

/// A program that contradicts itself: a bug of the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramError(pub String);

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed program: {}", self.0)
    }
}

impl std::error::Error for ProgramError {}

fn fail<T>(text: String) -> Result<T, ProgramError> {
    Err(ProgramError(text))
}

/// Checks the program against itself and the number of kernels at hand.
pub fn verify(program: &Program, kernels: usize) -> Result<(), ProgramError> {
    let check = Check { program, kernels };
    check.inputs()?;
    check.sizes()?;
    check.buffers()?;
    check.steps()?;
    check.outputs()
}

struct Check<'p> {
    program: &'p Program,
    kernels: usize,
}

impl Check<'_> {
    fn inputs(&self) -> Result<(), ProgramError> {
        for (at, input) in self.program.inputs.iter().enumerate() {
            match input {
                Input::Tensor { buffer } => {
                    self.buffer(*buffer)?;
                    if self.program.buffers[buffer.0 as usize].place != Place::Input(at as u32) {
                        return fail(format!("input {at} is not its buffer's place"));
                    }
                }
                Input::Size { slot } => self.slot(*slot)?,
                Input::Opaque { .. } => {}
            }
        }
        Ok(())
    }

    fn sizes(&self) -> Result<(), ProgramError> {
        for (at, entry) in self.program.sizes.iter().enumerate() {
            match entry {
                SizeEntry::Input(input) => {
                    if !matches!(
                        self.program.inputs.get(*input as usize),
                        Some(Input::Size { .. })
                    ) {
                        return fail(format!("size {at} reads input {input}, which is no size"));
                    }
                }
                SizeEntry::InputDim { input, dim } | SizeEntry::InputStride { input, dim } => {
                    let rank = self.input_rank(*input)?;
                    if *dim as usize >= rank {
                        return fail(format!("size {at} reads dimension {dim} of {rank}"));
                    }
                }
                SizeEntry::Code(code) => self.code(code, at, false)?,
                SizeEntry::Late(code) => self.code(code, at, true)?,
                SizeEntry::Unbacked => {}
            }
        }
        Ok(())
    }

    fn input_rank(&self, input: u32) -> Result<usize, ProgramError> {
        match self.program.inputs.get(input as usize) {
            Some(Input::Tensor { buffer }) => {
                self.buffer(*buffer)?;
                Ok(self.program.buffers[buffer.0 as usize].sizes.len())
            }
            _ => fail(format!("input {input} is no tensor")),
        }
    }

    fn code(&self, code: &SizeCode, at: usize, late: bool) -> Result<(), ProgramError> {
        for op in &code.0 {
            if let SizeOp::Slot(slot) = op {
                if *slot as usize >= at {
                    return fail(format!("size {at} reads size {slot}, which comes later"));
                }
                if self.is_late(*slot) && !late {
                    return fail(format!("size {at} needs size {slot} before it is bound"));
                }
            }
        }
        Ok(())
    }

    fn slot(&self, slot: u32) -> Result<(), ProgramError> {
        if slot as usize >= self.program.sizes.len() {
            return fail(format!("size {slot} does not exist"));
        }
        Ok(())
    }

    fn dim(&self, dim: Dim) -> Result<(), ProgramError> {
        match dim {
            Dim::Const(_) => Ok(()),
            Dim::Slot(slot) => self.slot(slot),
        }
    }

    /// A size that is known when the call starts.
    fn early(&self, dim: Dim) -> Result<(), ProgramError> {
        self.dim(dim)?;
        match dim {
            Dim::Slot(slot) if self.is_late(slot) => fail(format!(
                "the arena is measured by size {slot}, which a step computes"
            )),
            _ => Ok(()),
        }
    }

    fn is_late(&self, slot: u32) -> bool {
        matches!(
            self.program.sizes[slot as usize],
            SizeEntry::Unbacked | SizeEntry::Late(_)
        )
    }

    fn buffer(&self, buffer: BufferId) -> Result<(), ProgramError> {
        if buffer.0 as usize >= self.program.buffers.len() {
            return fail(format!("buffer {} does not exist", buffer.0));
        }
        Ok(())
    }

    fn buffers(&self) -> Result<(), ProgramError> {
        for (at, buffer) in self.program.buffers.iter().enumerate() {
            for dim in buffer.sizes.iter().chain(&buffer.strides) {
                self.dim(*dim)?;
            }
            if buffer.sizes.len() != buffer.strides.len() {
                return fail(format!(
                    "buffer {at} has unequal numbers of sizes and strides"
                ));
            }
            self.place(at, &buffer.place)?;
        }
        if let Some(arena) = self.program.arena {
            self.early(arena)?;
        }
        Ok(())
    }

    fn place(&self, at: usize, place: &Place) -> Result<(), ProgramError> {
        let program = self.program;
        match place {
            Place::Input(input) => {
                if !matches!(
                    program.inputs.get(*input as usize),
                    Some(Input::Tensor { .. })
                ) {
                    return fail(format!("buffer {at} is input {input}, which is no tensor"));
                }
            }
            Place::Constant(constant) => {
                if *constant as usize >= program.constants.len() {
                    return fail(format!("constant {constant} does not exist"));
                }
            }
            Place::Arena { offset } => {
                self.early(*offset)?;
                if program.arena.is_none() {
                    return fail(format!("buffer {at} is in an arena that does not exist"));
                }
            }
            Place::Output => {}
            Place::Aten { call, index } => {
                let results = program.aten.get(*call as usize).map(|c| &c.results);
                let Some(Some(Some(result))) = results.map(|r| r.get(*index as usize)) else {
                    return fail(format!("result {index} of call {call} does not exist"));
                };
                if result.0 as usize != at {
                    return fail(format!("buffer {at} is not result {index} of call {call}"));
                }
            }
            Place::View { of, offset } => {
                self.dim(*offset)?;
                if of.0 as usize >= at {
                    return fail(format!("buffer {at} is a view of {}, a later one", of.0));
                }
            }
        }
        Ok(())
    }

    fn steps(&self) -> Result<(), ProgramError> {
        let mut called = vec![false; self.program.aten.len()];
        for step in &self.program.steps {
            match step {
                Step::Kernel(launch) => {
                    if launch.kernel.0 as usize >= self.kernels {
                        return fail(format!("kernel {} does not exist", launch.kernel.0));
                    }
                    launch.buffers.iter().try_for_each(|b| self.buffer(*b))?;
                    launch.sizes.iter().try_for_each(|d| self.dim(*d))?;
                    self.dim(launch.tiles)?;
                    self.dim(launch.scratch)?;
                }
                Step::Aten { call } => self.call(*call, &mut called)?,
                Step::Sizes { begin, end } => {
                    if begin > end || *end as usize > self.program.sizes.len() {
                        return fail(format!("sizes {begin}..{end} do not exist"));
                    }
                }
                Step::Release { buffer } => self.buffer(*buffer)?,
            }
        }
        Ok(())
    }

    fn call(&self, at: u32, called: &mut [bool]) -> Result<(), ProgramError> {
        let Some(call) = self.program.aten.get(at as usize) else {
            return fail(format!("call {at} does not exist"));
        };
        for arg in call.args.iter().chain(call.kwargs.iter().map(|k| &k.1)) {
            self.arg(arg, called)?;
        }
        call.results
            .iter()
            .flatten()
            .try_for_each(|b| self.buffer(*b))?;
        for bind in &call.binds {
            let (slot, result) = match bind {
                Bind::Dim { slot, result, .. } | Bind::Int { slot, result } => (*slot, *result),
            };
            self.slot(slot)?;
            if self.program.sizes[slot as usize] != SizeEntry::Unbacked {
                return fail(format!("call {at} binds size {slot}, which has a value"));
            }
            if result as usize >= call.results.len() {
                return fail(format!("call {at} has no result {result}"));
            }
        }
        called[at as usize] = true;
        Ok(())
    }

    fn arg(&self, arg: &AtenArg, called: &[bool]) -> Result<(), ProgramError> {
        match arg {
            AtenArg::Tensor(buffer) => self.buffer(*buffer),
            AtenArg::Int(dim) => self.dim(*dim),
            AtenArg::List(items) => items.iter().try_for_each(|item| self.arg(item, called)),
            AtenArg::Result { call, index } => match called.get(*call as usize) {
                Some(true) => Ok(()),
                _ => fail(format!("result {index} of call {call} is used before it")),
            },
            _ => Ok(()),
        }
    }

    fn outputs(&self) -> Result<(), ProgramError> {
        for output in &self.program.outputs {
            match output {
                Output::Tensor(buffer) => self.buffer(*buffer)?,
                Output::Size(dim) => self.dim(*dim)?,
                Output::Result { call, index } => {
                    let results = self
                        .program
                        .aten
                        .get(*call as usize)
                        .map_or(0, |c| c.results.len());
                    if *index as usize >= results {
                        return fail(format!("result {index} of call {call} does not exist"));
                    }
                }
                Output::None | Output::Opaque(_) => {}
            }
        }
        Ok(())
    }
}
