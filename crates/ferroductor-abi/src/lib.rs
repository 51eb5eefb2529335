//! What compiler and runtime agree on: the [`Program`] and the kernels' calling convention.
//!
//! A program is immutable and holds no tensor. Sizes are computed once per call into a table of
//! `i64`; everything else refers to table entries or literals by [`Dim`].

/// A compiled kernel: runs tiles `begin..end`. Returns 0, or the code of a failed check.
///
/// Safety: `pointers` and `sizes` have as many entries as the kernel declares, every pointer is
/// valid for what the kernel touches, and `scratch` is 64-byte aligned, private to the caller and
/// as large as the kernel's locals need. Its first [`SCRATCH_HEAD`] bytes are zero at the first call
/// of a launch that gets it; a later call of the same launch finds it as the call before left it.
pub type KernelFn = unsafe extern "C" fn(
    pointers: *const *mut u8,
    sizes: *const i64,
    scratch: *mut u8,
    begin: i64,
    end: i64,
) -> u32;

/// Bytes of scratch that are zero when a launch begins: what a kernel keeps there to tell whether
/// the rest of its scratch is already filled.
pub const SCRATCH_HEAD: usize = 64;

/// A size known when compiled, or an entry of the call's size table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    Const(i64),
    Slot(u32),
}

impl Dim {
    /// The value, given the call's size table.
    pub fn get(self, table: &[i64]) -> i64 {
        match self {
            Dim::Const(value) => value,
            Dim::Slot(slot) => table[slot as usize],
        }
    }
}

/// Stack code of one size expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SizeCode(pub Vec<SizeOp>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SizeOp {
    Const(i64),
    /// Pushes an earlier entry of the table.
    Slot(u32),
    Add,
    Mul,
    /// Rounded down; an error by zero.
    FloorDiv,
    /// With the divisor's sign; an error by zero.
    Mod,
    Min,
    Max,
}

impl SizeCode {
    /// Evaluates over the table so far; `None` on a division by zero or malformed code.
    pub fn eval(&self, table: &[i64]) -> Option<i64> {
        let mut stack: Vec<i64> = Vec::with_capacity(8);
        for op in &self.0 {
            let value = match *op {
                SizeOp::Const(c) => c,
                SizeOp::Slot(s) => *table.get(s as usize)?,
                binary => {
                    let b = stack.pop()?;
                    let a = stack.pop()?;
                    match binary {
                        SizeOp::Add => a.wrapping_add(b),
                        SizeOp::Mul => a.wrapping_mul(b),
                        SizeOp::Min => a.min(b),
                        SizeOp::Max => a.max(b),
                        SizeOp::FloorDiv => floor_div(a, b)?,
                        SizeOp::Mod => a.wrapping_sub(b.wrapping_mul(floor_div(a, b)?)),
                        SizeOp::Const(_) | SizeOp::Slot(_) => return None,
                    }
                }
            };
            stack.push(value);
        }
        if stack.len() == 1 { stack.pop() } else { None }
    }
}

fn floor_div(a: i64, b: i64) -> Option<i64> {
    let q = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) {
        q - 1
    } else {
        q
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u32);
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KernelId(pub u32);

/// One compiled graph.
#[derive(Clone, Debug, Default)]
pub struct Program {
    pub name: String,
    /// In the graph's order of placeholders.
    pub inputs: Vec<Input>,
    /// Tensors the graph carries (attributes of the module), held by the host in this order.
    pub constants: Vec<String>,
    /// The size table. Entry `i` is `sizes[i]`'s value; entries set by inputs come first.
    pub sizes: Vec<SizeEntry>,
    pub buffers: Vec<Buffer>,
    pub steps: Vec<Step>,
    /// In the graph's order of outputs.
    pub outputs: Vec<Output>,
    /// Bytes of the arena.
    pub arena: Option<Dim>,
    /// The calls of `Step::Aten`.
    pub aten: Vec<AtenCall>,
    /// Estimated nanoseconds of one call with the example's sizes, on one thread.
    pub cost_ns: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A tensor. The runtime checks dtype and rank; sizes and strides are guarded by Dynamo.
    Tensor { buffer: BufferId },
    /// A symbolic integer: entry of the size table.
    Size { slot: u32 },
    /// A value only ATen sees (generator, script object, float), by index among the opaque ones.
    Opaque { index: u32 },
}

#[derive(Clone, Debug, PartialEq)]
pub enum SizeEntry {
    /// Set from a `Input::Size` placeholder.
    Input(u32),
    /// Size of a dimension of an input tensor.
    InputDim { input: u32, dim: u32 },
    /// Stride of a dimension of an input tensor, in elements.
    InputStride { input: u32, dim: u32 },
    /// Computed when the call starts (depends on earlier entries only).
    Code(SizeCode),
    /// Set by a step (a data-dependent size).
    Unbacked,
    /// Computed by `Step::Sizes`, for it depends on an unbacked entry.
    Late(SizeCode),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// `c10::ScalarType`; -1 for what is no plain tensor.
    pub dtype: i32,
    /// Bytes of one element; 0 where only ATen may look inside (not plain, a dtype without native
    /// code, a geometry that is not known).
    pub item: u32,
    pub sizes: Vec<Dim>,
    /// In elements.
    pub strides: Vec<Dim>,
    pub place: Place,
}

/// Where a buffer lives.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// The tensor of an input, by position among the inputs.
    Input(u32),
    /// A constant of the graph.
    Constant(u32),
    /// A slot of the arena, `offset` bytes from its start, 64-byte aligned. Contents undefined.
    Arena { offset: Dim },
    /// Fresh memory owned by a tensor that leaves the program.
    Output,
    /// The result `index` of an ATen call, with whatever geometry ATen gives it.
    Aten { call: u32, index: u32 },
    /// The same storage as another buffer, `offset` elements further on.
    View { of: BufferId, offset: Dim },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Kernel(Launch),
    Aten {
        call: u32,
    },
    /// Computes the `Late` entries `begin..end` of the size table.
    Sizes {
        begin: u32,
        end: u32,
    },
    /// The buffer's owned storage (ATen result, output that is not returned) is dropped.
    Release {
        buffer: BufferId,
    },
}

/// One run of a kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    pub kernel: KernelId,
    pub buffers: Vec<BufferId>,
    /// Positions in `buffers` whose memory must start at a multiple of 64 bytes.
    pub aligned: Vec<u32>,
    pub sizes: Vec<Dim>,
    /// Number of tiles: `0..tiles` is split over the threads.
    pub tiles: Dim,
    /// Bytes of scratch each thread needs.
    pub scratch: Dim,
    /// Estimated nanoseconds of one tile on one thread; small launches stay on the caller.
    pub tile_ns: u32,
    /// What to raise for a kernel's error code: `errors[code - 1]`.
    pub errors: Vec<KernelError>,
}

/// A check inside a kernel failed; the exception eager would raise.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelError {
    pub kind: ErrorKind,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    Index,
    Runtime,
}

/// An operator executed by ATen.
#[derive(Clone, Debug, PartialEq)]
pub struct AtenCall {
    /// `aten.mm.default` or whatever the host resolves (custom and higher-order ops included).
    pub target: String,
    pub args: Vec<AtenArg>,
    pub kwargs: Vec<(String, AtenArg)>,
    /// The buffers of its tensor results; `None` for results that are not tensors or not used.
    pub results: Vec<Option<BufferId>>,
    /// Does the op return a list or tuple, rather than one value?
    pub returns_list: bool,
    /// Size-table entries set from its results.
    pub binds: Vec<Bind>,
    /// Position of the FX node, for the host's table of Python targets.
    pub node: u32,
    /// May the op keep a reference to its tensor arguments (custom ops, collectives, views)? Then
    /// they must own their storage.
    pub keeps_arguments: bool,
}

/// Fills a size-table entry from a result.
#[derive(Clone, Debug, PartialEq)]
pub enum Bind {
    /// From a size of a tensor result.
    Dim { slot: u32, result: u32, dim: u32 },
    /// From an integer result.
    Int { slot: u32, result: u32 },
}

#[derive(Clone, Debug, PartialEq)]
pub enum AtenArg {
    None,
    Tensor(BufferId),
    Int(Dim),
    Float(f64),
    Bool(bool),
    Str(String),
    /// `c10::ScalarType`.
    DType(i32),
    Device(String),
    Layout(String),
    MemoryFormat(String),
    List(Vec<AtenArg>),
    /// An opaque input.
    Opaque(u32),
    /// A Python object of the host's table.
    Object(u32),
    /// A result of an earlier ATen call that is no tensor (a float from `item`, a token).
    Result {
        call: u32,
        index: u32,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    None,
    /// A buffer's tensor: an input handed through, an ATen result, or fresh memory.
    Tensor(BufferId),
    Size(Dim),
    /// A non-tensor result of an ATen call.
    Result {
        call: u32,
        index: u32,
    },
    /// An opaque input handed through.
    Opaque(u32),
}
