//! Builds small kernels by hand, runs them natively and gives back what they wrote.

#![allow(dead_code)] // Each test file uses a part.

use ferroductor_codegen::llvm::{self, Options};
use ferroductor_ir::kernel::*;
use ferroductor_ir::prim::{Literal, Prim, Scalar};
use ferroductor_ir::{DType, IExpr};
use ferroductor_loader::{LoadedObject, host_target, supports};

/// A kernel without parameters, sizes, locals or statements, of one tile.
pub fn empty_kernel() -> Kernel {
    Kernel {
        name: "test".into(),
        doc: vec![],
        params: vec![],
        size_count: 0,
        locals: vec![],
        tiles: IExpr::one(),
        functions: vec![],
        setup: vec![],
        body: vec![],
    }
}

pub fn param(dtype: DType, access: Access) -> Param {
    Param {
        dtype,
        access,
        name: "p".into(),
        noalias: true,
    }
}

pub fn int(value: i64) -> IExpr {
    IExpr::constant(value)
}

pub fn load(buf: u32, index: IExpr, lanes: u32) -> Op {
    Op::Load {
        buf: Buf::Param(buf),
        index,
        lanes,
    }
}

pub fn store(buf: u32, index: IExpr, value: u32) -> Stmt {
    Stmt::Store {
        buf: Buf::Param(buf),
        index,
        value: ValueId(value),
    }
}

pub fn let_(id: u32, op: Op) -> Stmt {
    Stmt::Let {
        id: ValueId(id),
        op,
    }
}

pub fn prim(prim: Prim, args: &[u32]) -> Op {
    Op::Prim {
        prim,
        args: args.iter().map(|a| ValueId(*a)).collect(),
    }
}

pub fn constant(value: Literal, scalar: Scalar, lanes: u32) -> Op {
    Op::Const {
        value,
        ty: Ty::new(scalar, lanes),
    }
}

/// Loads `lanes` elements of each input, applies `make` (operands are values 0, 1, …, its result
/// is value 100) and stores the result's lanes: one tile per vector.
pub fn map_kernel(
    inputs: &[DType],
    output: DType,
    lanes: u32,
    make: impl Fn(&mut Vec<Stmt>),
) -> Kernel {
    let mut kernel = empty_kernel();
    let at = &IExpr::var(0) * &int(i64::from(lanes));
    for (n, dtype) in inputs.iter().enumerate() {
        kernel.params.push(param(*dtype, Access::Read));
        kernel
            .body
            .push(let_(n as u32, load(n as u32, at.clone(), lanes)));
    }
    kernel.params.push(param(output, Access::Write));
    make(&mut kernel.body);
    kernel.body.push(store(inputs.len() as u32, at, 100));
    kernel
}

/// The targets that this machine can run.
pub fn runnable_targets() -> Vec<Target> {
    let mut targets: Vec<Target> = [Isa::Sse42, Isa::Avx2, Isa::Avx512, Isa::Neon]
        .into_iter()
        .map(Target::of)
        .filter(supports)
        .collect();
    targets.extend(host_target());
    targets.dedup();
    assert!(!targets.is_empty());
    targets
}

pub fn compile(kernel: &Kernel, target: &Target) -> LoadedObject {
    let object = llvm::compile(&[("k".into(), kernel)], target, &Options::default())
        .unwrap_or_else(|e| panic!("{e}\n{kernel:#?}"));
    LoadedObject::load(&object).unwrap()
}

/// Runs tiles `begin..end`; buffers are bytes, one per parameter.
pub fn call(
    code: &LoadedObject,
    kernel: &Kernel,
    buffers: &mut [Vec<u8>],
    sizes: &[i64],
    (begin, end): (i64, i64),
) -> u32 {
    let function = code.get("k").expect("the symbol is defined");
    let pointers: Vec<*mut u8> = buffers.iter_mut().map(|b| b.as_mut_ptr()).collect();
    let (_, scratch_bytes) = kernel.local_offsets(sizes).expect("sizes evaluate");
    // Locals start with the bytes that the interpreter fills them with.
    let mut scratch = vec![0xffu8; scratch_bytes + 64];
    let skip = scratch.as_ptr().align_offset(64);
    // SAFETY: the kernel was compiled to `KernelFn`; the tests' buffers cover what their kernels
    // touch, and the scratch is aligned and as large as the locals need.
    unsafe {
        function(
            pointers.as_ptr(),
            sizes.as_ptr(),
            scratch[skip..].as_mut_ptr(),
            begin,
            end,
        )
    }
}

/// Runs a [`map_kernel`] over equally long inputs on every target that has what it needs; all
/// targets must agree, in every bit but those of a computed NaN.
pub fn run_map(kernel: &Kernel, inputs: &[Vec<u8>], lanes: u32) -> Vec<u8> {
    let output = kernel.params.last().unwrap().dtype;
    let count = inputs[0].len() / kernel.params[0].dtype.size();
    assert_eq!(count % lanes as usize, 0, "whole vectors only");
    let mut result: Option<Vec<u8>> = None;
    for target in runnable_targets() {
        let text = format!("{kernel:?}");
        if !target.has_fma && text.contains("Fma") || !target.has_scale() && text.contains("Scale")
        {
            continue;
        }
        let code = compile(kernel, &target);
        let mut buffers = inputs.to_vec();
        buffers.push(vec![0xAA; count * output.size()]);
        let tiles = (count / lanes as usize) as i64;
        assert_eq!(call(&code, kernel, &mut buffers, &[], (0, tiles)), 0);
        let written = plain_nans(buffers.pop().unwrap(), output);
        match &result {
            None => result = Some(written),
            Some(other) => assert_eq!(&written, other, "{target:?} differs\n{kernel:#?}"),
        }
    }
    result.expect("some target has it")
}

/// Puts one NaN in place of every NaN: payload and sign of a computed NaN are not specified.
fn plain_nans(bytes: Vec<u8>, dtype: DType) -> Vec<u8> {
    fn map<T: Element>(bytes: &[u8], f: impl Fn(T) -> T) -> Vec<u8> {
        let values: Vec<T> = values(bytes);
        values.into_iter().flat_map(|v| f(v).bytes()).collect()
    }
    match dtype {
        DType::F32 => map(&bytes, |x: f32| if x.is_nan() { f32::NAN } else { x }),
        DType::F64 => map(&bytes, |x: f64| if x.is_nan() { f64::NAN } else { x }),
        _ => bytes,
    }
}

/// A plain number as memory holds it.
pub trait Element: Copy {
    fn bytes(self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Self;
}

macro_rules! elements {
    ($($t:ty)*) => {$(
        impl Element for $t {
            fn bytes(self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
            fn from_bytes(bytes: &[u8]) -> $t {
                <$t>::from_le_bytes(bytes.try_into().unwrap())
            }
        }
    )*};
}
elements!(u8 i8 u16 i16 i32 i64 f32 f64 u32 u64);

pub fn bytes<T: Element>(values: &[T]) -> Vec<u8> {
    values.iter().flat_map(|v| v.bytes()).collect()
}

pub fn values<T: Element>(bytes: &[u8]) -> Vec<T> {
    bytes
        .chunks_exact(size_of::<T>())
        .map(T::from_bytes)
        .collect()
}
