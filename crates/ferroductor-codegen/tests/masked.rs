//! Masked loads and stores: the lanes without the mask touch no memory at all.
//!
//! Buffers end where an unmapped page begins, or begin where one ends, so that an access to a lane
//! that must be left alone ends the test.

mod cpp_common;
mod llvm_common;

use ferroductor_abi::KernelFn;
use ferroductor_codegen::llvm::{self, Options};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{DType, IExpr, Literal, Prim};
use ferroductor_loader::LoadedObject;
use llvm_common::{empty_kernel, let_, param};
use std::ffi::{c_int, c_void};

const PAGE: usize = 4096;
/// Lanes of the kernels here, and how many of them move.
const WIDTHS: [u32; 4] = [1, 4, 8, 32];

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        bytes: usize,
        prot: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn munmap(at: *mut c_void, bytes: usize) -> c_int;
    fn mprotect(at: *mut c_void, bytes: usize, prot: c_int) -> c_int;
}

/// One page of memory between two that nobody may touch.
struct Guarded(*mut u8);

impl Guarded {
    fn new() -> Guarded {
        let (none, read_write, private_anonymous) = (0, 3, 0x22);
        // SAFETY: a fresh mapping at an address of the system's choice; its middle page is inside.
        unsafe {
            let at = mmap(
                std::ptr::null_mut(),
                3 * PAGE,
                none,
                private_anonymous,
                -1,
                0,
            );
            assert_ne!(at as isize, -1, "no memory");
            let page = at.cast::<u8>().add(PAGE);
            assert_eq!(mprotect(page.cast(), PAGE, read_write), 0);
            Guarded(page)
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the page is mapped for reading and writing and belongs to this value.
        unsafe { std::slice::from_raw_parts_mut(self.0, PAGE) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made.
        unsafe { munmap(self.0.sub(PAGE).cast(), 3 * PAGE) };
    }
}

/// Copies the lanes `size 1 <= lane < size 2` of the vector at element `size 0`.
fn copy_kernel(dtype: DType, lanes: u32) -> Kernel {
    let mut kernel = empty_kernel();
    kernel.size_count = 3;
    kernel.params = vec![
        param(dtype, Access::Read),
        param(dtype, Access::ReadWrite),
        param(dtype, Access::Write),
    ];
    let (lane, index) = (Ty::new(DType::I32, lanes), IExpr::size(0));
    let ramp = Op::Ramp {
        base: IExpr::zero(),
        stride: IExpr::one(),
        lanes,
    };
    let bound = |size: u32| Op::Index {
        expr: IExpr::size(size),
    };
    let narrow = |value: u32| Op::Convert {
        value: ValueId(value),
        to: DType::I32,
    };
    let splat = |value: u32| Op::Splat {
        value: ValueId(value),
        lanes: lane.lanes,
    };
    let prim = llvm_common::prim;
    let mask = ValueId(20);
    let load = |buf: u32| Op::LoadMasked {
        buf: Buf::Param(buf),
        index: index.clone(),
        mask,
    };
    let store = |buf: u32, index: &IExpr, value: u32| Stmt::StoreMasked {
        buf: Buf::Param(buf),
        index: index.clone(),
        value: ValueId(value),
        mask,
    };
    kernel.body = vec![
        let_(0, ramp),
        let_(1, narrow(0)),
        let_(2, bound(1)),
        let_(3, narrow(2)),
        let_(4, splat(3)),
        let_(5, bound(2)),
        let_(6, narrow(5)),
        let_(7, splat(6)),
        let_(8, prim(Prim::Ge, &[1, 4])),
        let_(9, prim(Prim::Lt, &[1, 7])),
        let_(20, prim(Prim::And, &[8, 9])),
        let_(21, load(0)),
        store(1, &index, 21),
        // What was loaded, the lanes of zero included.
        Stmt::Store {
            buf: Buf::Param(2),
            index: IExpr::zero(),
            value: ValueId(21),
        },
    ];
    kernel
}

/// Runs the kernel with lanes `first..end` at the end and at the beginning of guarded buffers.
fn check(function: KernelFn, dtype: DType, lanes: u32, (first, end): (i64, i64), what: &str) {
    let size = dtype.size();
    let moved = (end - first) as usize * size;
    for at_end in [true, false] {
        let (mut input, mut output) = (Guarded::new(), Guarded::new());
        for (at, byte) in input.bytes().iter_mut().enumerate() {
            *byte = match dtype {
                DType::Bool => 1,
                _ => (at * 37 % 100) as u8 + 1,
            };
        }
        output.bytes().fill(0xEE);
        let mut whole = vec![0xEEu8; lanes as usize * size];
        // The active lanes are the last or the first elements of the page.
        let start = match at_end {
            true => (PAGE / size) as i64 - end,
            false => -first,
        };
        let pointers = [input.0, output.0, whole.as_mut_ptr()];
        let sizes = [start, first, end];
        // SAFETY: the active lanes lie inside the two pages, and `whole` takes a whole vector.
        let code = unsafe {
            function(
                pointers.as_ptr(),
                sizes.as_ptr(),
                std::ptr::null_mut(),
                0,
                1,
            )
        };
        assert_eq!(code, 0);
        let from = (start + first) as usize * size;
        let case = format!("{what}: {dtype} x{lanes}, lanes {first}..{end}, at end: {at_end}");
        let expected = input.bytes()[from..from + moved].to_vec();
        let lead = first as usize * size;
        assert_eq!(whole[lead..lead + moved], expected, "loaded: {case}");
        let mut others = whole[..lead].iter().chain(&whole[lead + moved..]);
        assert!(others.all(|byte| *byte == 0), "not zero: {case}");
        let written = output.bytes();
        assert_eq!(written[from..from + moved], expected, "stored: {case}");
        let mut others = written[..from].iter().chain(&written[from + moved..]);
        assert!(others.all(|byte| *byte == 0xEE), "wrote beyond: {case}");
    }
}

fn cases() -> Vec<(String, DType, u32, Kernel)> {
    let each = |dtype| WIDTHS.map(|lanes| (dtype, lanes));
    let all = DType::native().flat_map(each);
    all.map(|(dtype, lanes)| {
        let name = format!("copy_{}_{lanes}", ferroductor_ir::text::scalar_name(dtype));
        (name, dtype, lanes, copy_kernel(dtype, lanes))
    })
    .collect()
}

fn spans(lanes: u32) -> Vec<(i64, i64)> {
    let lanes = i64::from(lanes);
    let mut spans = vec![(0, 0), (0, 1), (0, lanes), (lanes - 1, lanes)];
    spans.extend([(0, lanes - 1), (lanes / 3, lanes / 2), (1, lanes)]);
    spans.retain(|(first, end)| first <= end);
    spans
}

#[test]
fn llvm_leaves_inactive_lanes_alone() {
    let cases = cases();
    for target in llvm_common::runnable_targets() {
        let named: Vec<(String, &Kernel)> = cases.iter().map(|c| (c.0.clone(), &c.3)).collect();
        let object = llvm::compile(&named, &target, &Options::default()).unwrap();
        let object = LoadedObject::load(&object).unwrap();
        for (name, dtype, lanes, _) in &cases {
            let function = object.get(name).unwrap();
            for span in spans(*lanes) {
                check(function, *dtype, *lanes, span, &format!("{target:?}"));
            }
        }
    }
}

#[test]
fn cpp_leaves_inactive_lanes_alone() {
    let cases = cases();
    let named: Vec<(String, &Kernel)> = cases.iter().map(|c| (c.0.clone(), &c.3)).collect();
    for compiler in cpp_common::compilers_for("cpp_leaves_inactive_lanes_alone") {
        for target in cpp_common::targets() {
            let loaded = cpp_common::build(&compiler, &named, &target, &[]);
            for (name, dtype, lanes, _) in &cases {
                let function = loaded.get(name).unwrap();
                for span in spans(*lanes) {
                    check(function, *dtype, *lanes, span, &format!("C++, {target:?}"));
                }
            }
        }
    }
}

/// Every mask of eight lanes as a literal: LLVM turns some into other accesses.
#[test]
fn masks_that_are_known_are_kept() {
    for dtype in [DType::U8, DType::BF16, DType::F32, DType::I64] {
        let mut kernels = Vec::new();
        for bits in 0..256i64 {
            let mut kernel = copy_kernel(dtype, 8);
            let constant = |value: i64| Op::Const {
                value: Literal::Int(value),
                ty: Ty::new(DType::I64, 8),
            };
            // Bit `lane` of the literal.
            let ramp = Op::Ramp {
                base: IExpr::zero(),
                stride: IExpr::one(),
                lanes: 8,
            };
            kernel.body.splice(
                0..11,
                [
                    let_(0, ramp),
                    let_(1, constant(bits)),
                    let_(2, llvm_common::prim(Prim::Shr, &[1, 0])),
                    let_(3, constant(1)),
                    let_(4, llvm_common::prim(Prim::And, &[2, 3])),
                    let_(20, llvm_common::prim(Prim::Eq, &[4, 3])),
                ],
            );
            kernels.push((format!("k{bits}"), kernel));
        }
        let named: Vec<(String, &Kernel)> = kernels.iter().map(|k| (k.0.clone(), &k.1)).collect();
        for target in [Isa::Sse42, Isa::Avx2, Isa::Avx512, Isa::Neon].map(Target::of) {
            let object = llvm::compile(&named, &target, &Options::default()).unwrap();
            if !ferroductor_loader::supports(&target) {
                continue;
            }
            let object = LoadedObject::load(&object).unwrap();
            for (bits, (name, _)) in kernels.iter().enumerate() {
                let size = dtype.size();
                let input: Vec<u8> = (1..=8 * size as u8).collect();
                let mut output = vec![0xEEu8; 8 * size];
                let mut whole = output.clone();
                let pointers = [
                    input.as_ptr().cast_mut(),
                    output.as_mut_ptr(),
                    whole.as_mut_ptr(),
                ];
                // SAFETY: all eight elements exist in every buffer.
                let code = unsafe {
                    object.get(name).unwrap()(
                        pointers.as_ptr(),
                        [0i64; 3].as_ptr(),
                        std::ptr::null_mut(),
                        0,
                        1,
                    )
                };
                assert_eq!(code, 0);
                for lane in 0..8 {
                    let own = lane * size..(lane + 1) * size;
                    let active = bits >> lane & 1 == 1;
                    let (read, kept) = match active {
                        true => (&input[own.clone()], &input[own.clone()]),
                        false => (&[0; 8][..size], &[0xEE; 8][..size]),
                    };
                    assert_eq!(&whole[own.clone()], read, "{dtype} {bits:08b} {target:?}");
                    assert_eq!(&output[own], kept, "{dtype} {bits:08b} {target:?}");
                }
            }
        }
    }
}

#[test]
fn the_target_masks_in_one_instruction() {
    for (isa, lanes, dtype, instruction) in [
        (Isa::Avx512, 16, DType::F32, "{%k1} {z}"),
        (Isa::Avx512, 32, DType::BF16, "vmovdqu16"),
        (Isa::Avx512, 64, DType::U8, "vmovdqu8"),
        (Isa::Avx2, 8, DType::F32, "vmaskmovps"),
        (Isa::Avx2, 4, DType::F64, "vmaskmovpd"),
        (Isa::Avx2, 4, DType::I64, "vpmaskmovq"),
    ] {
        let kernel = copy_kernel(dtype, lanes);
        let list = [("k".to_string(), &kernel)];
        let text = llvm::assembly(&list, &Target::of(isa), &Options::default()).unwrap();
        assert!(text.contains(instruction), "{instruction}\n{text}");
    }
}
