//! Loop IR: what the emitters print.
//!
//! A [`Kernel`] is one fused loop nest with explicit vectors, explicit rounding, explicit lane
//! order and explicit tails. Nothing is left to an emitter's choice: LLVM, C++ and the reference
//! interpreter compute the same bits. It is called as
//! `fn(pointers, sizes, scratch, begin, end) -> u32` and runs `setup` once, then `body` for each
//! tile id in `begin..end`; tiles are independent of each other except through registers that
//! `setup` declares (and a later tile may reuse what an earlier one of the same call left there).
//!
//! What must hold (checked by [`crate::verify`]):
//! * a value is defined once, before its uses, in an enclosing block;
//! * operands of a prim have equal lanes and, except for predicates and conversions, equal types;
//! * `F16` and `BF16` values appear only as operand or result of `Convert`, `Bitcast`, `DotBf16`,
//!   registers and what moves elements: loads, stores, `Gather`, `Scatter`, `Shuffle`, `Extract`
//!   and `Splat`;
//! * the mask of a masked load or store is a predicate of as many lanes as are moved;
//! * every prim that is not basic has a [`Function`] for its type and lanes in `functions`;
//! * stores go to writable buffers; indices are elements, not bytes.

use std::collections::BTreeSet;

use crate::dtype::DType;
use crate::index::IExpr;
use crate::prim::{Literal, Prim, Scalar};

/// A single-assignment value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);
/// A mutable variable of fixed type: an accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegId(pub u32);
/// A loop variable; `VarId(0)` is the tile id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VarId(pub u32);

/// A buffer of a kernel: a parameter by position, or a local array in the thread's scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Buf {
    Param(u32),
    Local(u32),
}

/// The tile id: the variable that `body` runs over.
pub const TILE: VarId = VarId(0);

/// Type of a value: `lanes` elements (1: a scalar).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ty {
    pub scalar: Scalar,
    pub lanes: u32,
}

impl Ty {
    pub fn new(scalar: Scalar, lanes: u32) -> Ty {
        Ty { scalar, lanes }
    }
    pub fn scalar(scalar: Scalar) -> Ty {
        Ty { scalar, lanes: 1 }
    }
    pub fn with(self, scalar: Scalar) -> Ty {
        Ty { scalar, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    Read,
    Write,
    ReadWrite,
}

/// A buffer handed in by the caller. No alignment is assumed beyond the element's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Param {
    pub dtype: DType,
    pub access: Access,
    /// A readable name, for printed C++ only; not part of the kernel's identity.
    pub name: String,
    /// No other parameter overlaps it, so the emitter may say `restrict`.
    pub noalias: bool,
}

/// A per-thread array in scratch, 64-byte aligned. Contents are undefined at first; they persist
/// from tile to tile within one call, and to later calls of the same launch that get this scratch.
/// The first 64 bytes of the first array are zero, or undefined, when a launch begins, but never what
/// an earlier launch left there: a kernel may keep there which of its arrays are filled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Local {
    pub dtype: DType,
    /// Element count: an expression over sizes only.
    pub elements: IExpr,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// Readable name such as `add_gelu`; not part of the identity.
    pub name: String,
    /// The operators fused here, one a line, for people.
    pub doc: Vec<String>,
    pub params: Vec<Param>,
    /// Entries of the size table the kernel reads (`Atom::Size(0..size_count)`).
    pub size_count: u32,
    pub locals: Vec<Local>,
    /// Number of tiles: an expression over sizes only.
    pub tiles: IExpr,
    pub functions: Vec<Function>,
    pub setup: Block,
    pub body: Block,
}

/// Defines a prim that is not basic, for one type and lane count. Straight-line code but for the
/// operands that need more of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    pub prim: Prim,
    /// Type of every operand and of the result.
    pub ty: Ty,
    /// Ids of the operands, in order.
    pub params: Vec<ValueId>,
    pub body: Vec<(ValueId, Op)>,
    pub result: ValueId,
    /// What the body is not right for, if anything.
    pub rare: Option<Rare>,
    /// Accuracy and source, for the printed C++.
    pub doc: String,
}

/// The other result of a function for operands that are seldom met and dear to handle, such as the
/// sine of a huge number. A lane's result depends on no other lane; the code is skipped where no
/// lane needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rare {
    /// A predicate of the function's body: which lanes take this result.
    pub lanes: ValueId,
    /// May use what the function's body defines, but not the other way round.
    pub body: Vec<(ValueId, Op)>,
    pub result: ValueId,
}

impl Function {
    /// All of its code, in order.
    pub fn code(&self) -> impl DoubleEndedIterator<Item = &(ValueId, Op)> {
        self.body
            .iter()
            .chain(self.rare.iter().flat_map(|rare| &rare.body))
    }
}

pub type Block = Vec<Stmt>;

/// Every statement of a block and of the blocks in it, in the order of the text.
pub fn visit(block: &[Stmt], f: &mut dyn FnMut(&Stmt)) {
    for stmt in block {
        f(stmt);
        match stmt {
            Stmt::For { body, .. } => visit(body, f),
            Stmt::If {
                then, otherwise, ..
            } => {
                visit(then, f);
                visit(otherwise, f);
            }
            _ => {}
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// Defines a value.
    Let { id: ValueId, op: Op },
    /// `for var in (begin..end).step_by(step)`, `step > 0`.
    For {
        var: VarId,
        begin: IExpr,
        end: IExpr,
        step: i64,
        body: Block,
    },
    /// Runs `then` or `otherwise` by a scalar predicate.
    If {
        cond: ValueId,
        then: Block,
        otherwise: Block,
    },
    /// Declares a register with a first value. Its scope is the enclosing block.
    Reg { id: RegId, init: ValueId },
    /// Overwrites a register.
    Set { id: RegId, value: ValueId },
    /// Writes the value's lanes to consecutive elements from `index` on.
    Store {
        buf: Buf,
        index: IExpr,
        value: ValueId,
    },
    /// Like `Store`, but only the lanes where `mask` holds; the elements of the others are not
    /// touched and need not exist.
    StoreMasked {
        buf: Buf,
        index: IExpr,
        value: ValueId,
        mask: ValueId,
    },
    /// Like `Store` of a whole vector, past the caches. The address is a multiple of the vector's
    /// size, and nothing in the kernel reads the buffer.
    Stream {
        buf: Buf,
        index: IExpr,
        value: ValueId,
    },
    /// Writes lane by lane, in lane order, to the elements named by an `i64` vector.
    Scatter {
        buf: Buf,
        index: ValueId,
        value: ValueId,
    },
    /// Asks for the cache line of an element that will be read later: for the first-level cache if
    /// that is soon (`near`), else for the second. The index may lie outside the buffer.
    Prefetch { buf: Buf, index: IExpr, near: bool },
    /// Where the scalar predicate holds, the call returns `code` (non-zero) at once.
    Fail { cond: ValueId, code: u32 },
    /// For readers of the printed forms.
    Comment(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// The literal, converted to the scalar type, in every lane.
    Const { value: Literal, ty: Ty },
    /// The scalar `i64` value of an index expression.
    Index { expr: IExpr },
    /// `i64` lanes `base, base + stride, base + 2*stride, …`.
    Ramp {
        base: IExpr,
        stride: IExpr,
        lanes: u32,
    },
    /// The register's present value.
    Get { id: RegId },
    /// `lanes` consecutive elements. `bool` loads compare the byte with zero.
    Load { buf: Buf, index: IExpr, lanes: u32 },
    /// Consecutive elements, one for each lane of `mask`. Where the mask does not hold, the element
    /// is not read and need not exist; the lane is 0.
    LoadMasked {
        buf: Buf,
        index: IExpr,
        mask: ValueId,
    },
    /// `lanes` elements, `stride` apart (may be zero or negative).
    LoadStrided {
        buf: Buf,
        index: IExpr,
        stride: IExpr,
        lanes: u32,
    },
    /// One element for each lane of an `i64` vector.
    Gather { buf: Buf, index: ValueId },
    /// Basic prims and functions alike.
    Prim { prim: Prim, args: Vec<ValueId> },
    /// Value conversion. Float to integer: towards zero; NaN and values out of `i32`/`i64` range
    /// give that type's minimum; narrower integers convert to `i32` first and wrap. Integer to
    /// integer wraps or extends. To `Bool`: not equal to zero (NaN is true). From `Bool`: 0 or 1.
    /// Float to narrower float rounds to nearest even, NaN stays a quiet NaN. Half precision
    /// converts from and to everything by way of `F32`.
    Convert { value: ValueId, to: Scalar },
    /// Same bits, other type of the same width (not `Bool`).
    Bitcast { value: ValueId, to: Scalar },
    /// A scalar in every lane.
    Splat { value: ValueId, lanes: u32 },
    /// One lane as a scalar.
    Extract { value: ValueId, lane: u32 },
    /// Lanes picked from the concatenation `a ++ b`.
    Shuffle {
        a: ValueId,
        b: ValueId,
        lanes: Vec<u32>,
    },
    /// bf16 pair dot product, the AVX512_BF16 instruction: `acc[l] + a[2l]*b[2l] + a[2l+1]*b[2l+1]`
    /// with the instruction's rounding and flushing; `acc` f32 × n, `a` and `b` bf16 × 2n; n is 4,
    /// 8 or 16.
    /// Emitted only where the target has it.
    DotBf16 {
        acc: ValueId,
        a: ValueId,
        b: ValueId,
    },
}

/// Instruction-set facts that lowering and emitters need.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub isa: Isa,
    pub has_fma: bool,
    pub has_f16c: bool,
    pub has_bf16: bool,
    /// First- and second-level data cache of a core, in bytes.
    pub l1_bytes: usize,
    pub l2_bytes: usize,
    /// The last cache before memory, in bytes.
    pub last_cache_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isa {
    /// SSE4.2, 128 bits: the least we generate for on x86-64.
    Sse42,
    /// AVX2 with FMA and F16C, 256 bits.
    Avx2,
    /// AVX-512 F, BW, DQ, VL, CD: 512 bits.
    Avx512,
    /// AArch64 NEON, 128 bits.
    Neon,
}

impl Isa {
    pub fn vector_bytes(self) -> usize {
        match self {
            Isa::Sse42 | Isa::Neon => 16,
            Isa::Avx2 => 32,
            Isa::Avx512 => 64,
        }
    }
    pub fn vector_registers(self) -> usize {
        match self {
            Isa::Sse42 | Isa::Avx2 => 16,
            Isa::Avx512 | Isa::Neon => 32,
        }
    }
    pub fn name(self) -> &'static str {
        match self {
            Isa::Sse42 => "sse4.2",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Neon => "neon",
        }
    }
    pub fn from_name(name: &str) -> Option<Isa> {
        [Isa::Sse42, Isa::Avx2, Isa::Avx512, Isa::Neon]
            .into_iter()
            .find(|isa| isa.name() == name)
    }
}

impl Target {
    /// The plain member of a family: no optional extensions, common cache sizes.
    pub fn of(isa: Isa) -> Target {
        Target {
            isa,
            has_fma: isa != Isa::Sse42,
            has_f16c: matches!(isa, Isa::Avx2 | Isa::Avx512 | Isa::Neon),
            has_bf16: false,
            l1_bytes: 32 << 10,
            l2_bytes: 1 << 20,
            last_cache_bytes: 32 << 20,
        }
    }
    /// Does one instruction load or store a vector of this type under a mask?
    pub fn has_masked_moves(&self, scalar: Scalar) -> bool {
        match self.isa {
            Isa::Avx512 => true,
            Isa::Avx2 => scalar.size() >= 4,
            Isa::Sse42 | Isa::Neon => false,
        }
    }
    /// Does one instruction multiply by a power of two, [`Prim::Scale`]?
    pub fn has_scale(&self) -> bool {
        self.isa == Isa::Avx512
    }
    /// Lanes of a full vector of this scalar type.
    pub fn lanes(&self, scalar: Scalar) -> u32 {
        (self.isa.vector_bytes() / scalar.size().max(1)) as u32
    }
}

impl Kernel {
    /// Bytes of scratch one thread needs, given the size table; every local starts at a multiple
    /// of 64. `None` if a size expression does not evaluate.
    pub fn local_offsets(&self, sizes: &[i64]) -> Option<(Vec<usize>, usize)> {
        let mut at = 0usize;
        let mut offsets = Vec::with_capacity(self.locals.len());
        for local in &self.locals {
            offsets.push(at);
            let elements = local.elements.eval(&|a| match a {
                crate::index::Atom::Size(s) => sizes.get(*s as usize).copied(),
                _ => None,
            })?;
            let bytes = usize::try_from(elements)
                .ok()?
                .checked_mul(local.dtype.size())?;
            at = at.checked_add(bytes)?.checked_next_multiple_of(64)?;
        }
        Some((offsets, at))
    }

    /// Buffers that are written by streaming stores.
    pub fn streamed(&self) -> BTreeSet<Buf> {
        let mut found = BTreeSet::new();
        for block in [&self.setup, &self.body] {
            visit(block, &mut |stmt| {
                if let Stmt::Stream { buf, .. } = stmt {
                    found.insert(*buf);
                }
            });
        }
        found
    }

    pub fn function(&self, prim: Prim, ty: Ty) -> Option<&Function> {
        self.functions.iter().find(|f| f.prim == prim && f.ty == ty)
    }
}
