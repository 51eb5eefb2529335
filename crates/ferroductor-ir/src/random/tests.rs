//! The generator keeps its promises, and the text form of whatever it makes is exact.

use super::*;
use crate::kernel::{Op, Stmt, visit};
use crate::prim::Prim;
use crate::{interp, text, verify};
use std::collections::BTreeSet;

const SEEDS: u64 = 2000;

fn cases() -> impl Iterator<Item = (u64, Case)> {
    let limits = Limits {
        dot_bf16: true,
        ..Limits::default()
    };
    (0..SEEDS).map(move |seed| (seed, case(seed, &limits)))
}

#[test]
fn random_kernels_verify_and_stay_inside_their_buffers() {
    let mut prims = BTreeSet::new();
    let mut ran_to_end = 0;
    for (seed, mut case) in cases() {
        let kernel = &case.kernel;
        if let Err(error) = verify::kernel(kernel) {
            panic!("seed {seed}: {error}\n{}", text::print(kernel));
        }
        let mut buffers: Vec<&mut [u8]> =
            case.buffers.iter_mut().map(|b| b.as_mut_slice()).collect();
        match interp::run(kernel, &mut buffers, &case.sizes, case.begin, case.end) {
            Ok(code) => ran_to_end += u64::from(code == 0),
            Err(error) => panic!("seed {seed}: {error}\n{}", text::print(kernel)),
        }
        collect(&case.kernel.body, &mut prims);
    }
    let basic: BTreeSet<Prim> = Prim::all().filter(|p| p.is_basic()).collect();
    let missing: Vec<_> = basic.difference(&prims).collect();
    assert!(missing.is_empty(), "never generated: {missing:?}");
    assert!(
        ran_to_end > SEEDS / 2,
        "only {ran_to_end} of {SEEDS} ran to their end"
    );
}

fn collect(block: &[Stmt], prims: &mut BTreeSet<Prim>) {
    visit(block, &mut |stmt| {
        if let Stmt::Let {
            op: Op::Prim { prim, .. },
            ..
        } = stmt
        {
            prims.insert(*prim);
        }
    });
}

#[test]
fn text_of_random_kernels_reads_back_exactly() {
    for (seed, case) in cases() {
        let printed = text::print(&case.kernel);
        match text::parse(&printed) {
            Ok(parsed) => assert_eq!(parsed, case.kernel, "seed {seed}\n{printed}"),
            Err(error) => panic!("seed {seed}: {error}\n{printed}"),
        }
    }
}

#[test]
fn canonical_kernels_verify_compute_the_same_and_have_the_same_identity() {
    for (seed, case) in cases().take(500) {
        let canonical = text::canonical(&case.kernel);
        assert_eq!(verify::kernel(&canonical), Ok(()), "seed {seed}");
        assert_eq!(
            text::identity(&canonical),
            text::identity(&case.kernel),
            "seed {seed}"
        );
        let run = |kernel: &Kernel| {
            let mut memory = case.buffers.clone();
            let mut buffers: Vec<&mut [u8]> = memory.iter_mut().map(|b| b.as_mut_slice()).collect();
            let code = interp::run(kernel, &mut buffers, &case.sizes, case.begin, case.end);
            (code.unwrap(), memory)
        };
        assert_eq!(run(&canonical), run(&case.kernel), "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_case() {
    let limits = Limits::default();
    let (a, b) = (case(7, &limits), case(7, &limits));
    assert_eq!((a.kernel, a.buffers), (b.kernel, b.buffers));
    assert_ne!(case(8, &limits).buffers, case(7, &limits).buffers);
}

#[test]
fn reduction_keeps_the_fault_and_drops_the_rest() {
    fn has_sqrt(kernel: &Kernel) -> bool {
        let mut prims = BTreeSet::new();
        collect(&kernel.body, &mut prims);
        prims.contains(&Prim::Sqrt)
    }
    let (_, case) = cases().find(|(_, case)| has_sqrt(&case.kernel)).unwrap();
    let reduced = reduce(&case.kernel, &mut |kernel| has_sqrt(kernel));
    assert!(has_sqrt(&reduced));
    assert_eq!(verify::kernel(&reduced), Ok(()));
    let lines = text::print(&reduced).lines().count();
    assert!(
        lines < text::print(&case.kernel).lines().count() / 2,
        "{lines} lines are left"
    );
}

#[test]
fn all_nans_are_the_same_element_and_zeros_are_not() {
    let f = |x: f32| x.to_le_bytes();
    assert!(same_elements(DType::F32, &f(f32::NAN), &f(-f32::NAN)));
    assert!(!same_elements(DType::F32, &f(0.0), &f(-0.0)));
    assert!(!same_elements(DType::I32, &f(f32::NAN), &f(-f32::NAN)));
    assert!(same_elements(DType::BF16, &[0xc1, 0x7f], &[0xc0, 0xff]));
    assert!(!same_elements(DType::F16, &[0x00, 0x7c], &[0x01, 0x7c]));
}
