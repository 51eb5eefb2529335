//! Each invariant, broken in the smallest kernel that can break it.

use super::*;
use crate::dtype::DType;
use crate::text::parse;
use VerifyErrorKind::*;

/// A kernel of two buffers, a local, one size and this body.
fn kernel_with(body: &str) -> Kernel {
    let text = format!(
        "kernel t {{
           param p0: f32 read
           param p1: f32 write
           param p2: i64 readwrite
           sizes 1
           local l0: bf16[s0*4]
           tiles s0
           function maximum f32x8(%0, %1) {{
             %2 = gt %0, %1
             %3 = select %2, %0, %1
             return %3
           }}
           body {{
             {body}
           }}
         }}"
    );
    parse(&text).unwrap()
}

fn refusal(body: &str) -> VerifyErrorKind {
    kernel(&kernel_with(body)).expect_err(body).kind
}

#[test]
fn a_kernel_that_keeps_every_invariant_passes_and_is_typed() {
    let k = kernel_with(
        "%0 = load x8 p0[i0*8]
         reg r0 = %0
         for i1 in 0..s0 step 2 {
           %1 = load x8 p0[i1*s0 by 2]
           %2 = maximum %0, %1
           set r0 = %2
         }
         %3 = get r0
         %4 = convert %3 to bf16
         store l0[0] = %4
         %5 = lt %3, %0
         %6 = select %5, %3, %0
         %7 = index i0 + s0
         store p1[%7] = %6
         %8 = ramp x8 from %7 by -1
         %9 = gather p2[%8]
         scatter p2[%9] = %8",
    );
    let types = types(&k).unwrap();
    assert_eq!(types[ValueId(5)].to_string(), "boolx8");
    assert_eq!(types[ValueId(4)].to_string(), "bf16x8");
    assert_eq!(types[ValueId(7)].to_string(), "i64");
    assert_eq!(types[RegId(0)].to_string(), "f32x8");
    assert_eq!(types.value(ValueId(10)), None);
}

#[test]
fn values_are_defined_once_before_use_and_in_scope() {
    assert_eq!(refusal("store p1[0] = %0"), UndefinedValue(ValueId(0)));
    let twice = "%0 = index 1 %0 = index 2";
    assert_eq!(refusal(twice), ValueDefinedTwice(ValueId(0)));
    let escaped = "for i1 in 0..4 { %0 = load x1 p0[i1] } store p1[0] = %0";
    assert_eq!(refusal(escaped), UndefinedValue(ValueId(0)));
    let in_index = "for i1 in 0..4 { %0 = index i1 } %1 = load x1 p0[%0]";
    assert_eq!(refusal(in_index), UndefinedValue(ValueId(0)));
    let other_branch = "%0 = const bool true if %0 { %1 = index 1 } else { store p2[0] = %1 }";
    assert_eq!(refusal(other_branch), UndefinedValue(ValueId(1)));
    assert_eq!(refusal("%4194304 = index 1"), IdTooLarge(MAX_ID));
}

#[test]
fn setup_is_seen_by_body_but_not_the_tile_by_setup() {
    let with = |setup: &str| {
        let mut k = kernel_with("store p1[0] = %0");
        k.setup = kernel_with(setup).body;
        kernel(&k)
    };
    assert_eq!(with("%0 = const f32 1.0"), Ok(()));
    let error = with("%0 = load x1 p0[i0]").unwrap_err();
    assert_eq!(
        error.to_string(),
        "setup: %0: loop variable i0 is not visible here"
    );
}

#[test]
fn registers_are_declared_once_and_keep_their_type() {
    assert_eq!(refusal("%0 = get r0"), UndefinedRegister(RegId(0)));
    let twice = "%0 = index 1 reg r0 = %0 reg r0 = %0";
    assert_eq!(refusal(twice), RegisterDeclaredTwice(RegId(0)));
    let escaped = "%0 = index 1 for i1 in 0..2 { reg r0 = %0 } set r0 = %0";
    assert_eq!(refusal(escaped), UndefinedRegister(RegId(0)));
    let retyped = "%0 = index 1 reg r0 = %0 %1 = const f32 1.0 set r0 = %1";
    assert!(matches!(refusal(retyped), Mismatch { .. }));
}

#[test]
fn index_expressions_use_what_is_visible() {
    assert_eq!(refusal("%0 = index i1"), UndefinedVariable(1));
    assert_eq!(refusal("%0 = index s1"), UndefinedSize(1));
    assert_eq!(refusal("%0 = index div(i0, s1)"), UndefinedSize(1));
    let float = "%0 = const f32 1.0 %1 = load x1 p0[%0]";
    assert_eq!(
        refusal(float),
        NotAnIndex(ValueId(0), Ty::scalar(DType::F32))
    );
    let mut k = kernel_with("");
    k.tiles = IExpr::var(0);
    assert_eq!(kernel(&k).unwrap_err().kind, NotOverSizes(IExpr::var(0)));
    let mut k = kernel_with("");
    k.locals[0].elements = IExpr::size(7);
    assert_eq!(kernel(&k).unwrap_err().kind, UndefinedSize(7));
}

#[test]
fn loops_hide_no_variable_and_move_forward() {
    let hides = |n| VariableHidesAnother(VarId(n));
    assert_eq!(refusal("for i0 in 0..4 { }"), hides(0));
    assert_eq!(refusal("for i1 in 0..4 { for i1 in 0..4 { } }"), hides(1));
    assert_eq!(
        kernel(&kernel_with("for i1 in 0..4 { } for i1 in 0..4 { }")),
        Ok(())
    );
    assert_eq!(refusal("for i1 in 0..4 step 0 { }"), Step(0));
    assert_eq!(refusal("for i1 in 0..4 step -1 { }"), Step(-1));
}

#[test]
fn prims_take_equal_operands_of_a_type_they_know() {
    let operands = "%0 = const f32x8 1.0 %1 = const f32x4 1.0 %2 = add %0, %1";
    assert!(matches!(refusal(operands), Mismatch { .. }));
    let arity = "%0 = const f32 1.0 %1 = add %0";
    assert_eq!(
        refusal(arity),
        Arity {
            prim: Prim::Add,
            found: 1
        }
    );
    let refused = |prim, scalar| PrimType { prim, scalar };
    let half = "%0 = const f32 1.0 %1 = convert %0 to bf16 %2 = neg %1";
    assert_eq!(refusal(half), refused(Prim::Neg, DType::BF16));
    let float = "%0 = const f64 1.0 %1 = shl %0, %0";
    assert_eq!(refusal(float), refused(Prim::Shl, DType::F64));
    let predicate = "%0 = const bool true %1 = add %0, %0";
    assert_eq!(refusal(predicate), refused(Prim::Add, DType::Bool));
    let select = "%0 = const i64 1 %1 = select %0, %0, %0";
    assert!(matches!(refusal(select), Mismatch { .. }));
    let wide_predicate = "%0 = const boolx4 true %1 = const f32 1.0 %2 = select %0, %1, %1";
    assert!(matches!(refusal(wide_predicate), Mismatch { .. }));
}

#[test]
fn functions_must_be_there_for_type_and_lanes() {
    let ty = Ty::new(DType::F32, 4);
    let missing = MissingFunction {
        prim: Prim::Maximum,
        ty,
    };
    assert_eq!(refusal("%0 = const f32x4 1.0 %1 = maximum %0, %0"), missing);
    assert_eq!(
        kernel(&kernel_with("%0 = const f32x8 1.0 %1 = maximum %0, %0")),
        Ok(())
    );
}

#[test]
fn functions_are_straight_lines_of_basic_prims() {
    let with = |change: &dyn Fn(&mut Function)| {
        let mut k = kernel_with("");
        change(&mut k.functions[0]);
        kernel(&k).unwrap_err().kind
    };
    let two = (ValueId(0), ValueId(1));
    let call = Op::Prim {
        prim: Prim::Maximum,
        args: vec![two.0, two.1],
    };
    assert_eq!(
        with(&|f| f.body.push((ValueId(9), call.clone()))),
        NotInFunction("another function")
    );
    assert_eq!(with(&|f| f.prim = Prim::Add), NotAFunction(Prim::Add));
    assert_eq!(
        with(&|f| f.prim = Prim::Exp),
        Arity {
            prim: Prim::Exp,
            found: 2
        }
    );
    assert!(matches!(with(&|f| f.result = ValueId(2)), Mismatch { .. }));
    let rare = |lanes, result| {
        with(&|f| {
            let body = Vec::new();
            f.rare = Some(Rare {
                lanes: ValueId(lanes),
                body,
                result: ValueId(result),
            });
        })
    };
    // No predicate, and no value of the function's type.
    assert!(matches!(rare(0, 0), Mismatch { .. }));
    assert!(matches!(rare(2, 2), Mismatch { .. }));
    let mut k = kernel_with("");
    k.functions.push(k.functions[0].clone());
    assert!(matches!(
        kernel(&k).unwrap_err().kind,
        FunctionDefinedTwice { .. }
    ));
}

#[test]
fn stores_go_to_writable_buffers_of_the_value_type() {
    let read_only = "%0 = const f32 1.0 store p0[0] = %0";
    assert_eq!(refusal(read_only), StoreToReadOnly(Buf::Param(0)));
    let other_type = "%0 = const f64 1.0 store p1[0] = %0";
    assert!(matches!(refusal(other_type), Mismatch { .. }));
    let no_buffer = "%0 = const f64 1.0 store l3[0] = %0";
    assert_eq!(refusal(no_buffer), UnknownBuffer(Buf::Local(3)));
    let odd = "%0 = const f32x2 0.0 stream p1[0] = %0";
    assert_eq!(refusal(odd), StreamSize(Ty::new(DType::F32, 2)));
    let narrow = "%0 = const i64x4 0 %1 = const f32x8 0.0 scatter p1[%0] = %1";
    assert!(matches!(refusal(narrow), Mismatch { .. }));
    let mut k = kernel_with("");
    k.params[0].dtype = DType::Opaque(9);
    assert_eq!(kernel(&k).unwrap_err().kind, OpaqueBuffer(Buf::Param(0)));
}

#[test]
fn masks_are_predicates_of_as_many_lanes_as_are_moved() {
    let with = |mask: &str, rest: &str| format!("%0 = load x8 p0[0] %1 = const {mask} 1 {rest}");
    let load = "%2 = load p0[i0*8] where %1";
    let store = "store p1[i0*8] = %0 where %1";
    for rest in [load, store] {
        assert_eq!(kernel(&kernel_with(&with("boolx8", rest))), Ok(()));
        assert!(matches!(refusal(&with("f32x8", rest)), Mismatch { .. }));
        let undefined = rest.replace("%1", "%9");
        assert_eq!(
            refusal(&with("boolx8", &undefined)),
            UndefinedValue(ValueId(9))
        );
        let index = rest.replace("i0*8", "i5");
        assert_eq!(refusal(&with("boolx8", &index)), UndefinedVariable(5));
    }
    let types = types(&kernel_with(&with("boolx8", load))).unwrap();
    assert_eq!(types[ValueId(2)].to_string(), "f32x8");
    assert!(matches!(
        refusal(&with("boolx4", store)),
        Mismatch { what: "mask", .. }
    ));
    assert_eq!(
        refusal(&with("boolx8", "store p0[0] = %0 where %1")),
        StoreToReadOnly(Buf::Param(0))
    );
    assert!(matches!(
        refusal(&with("boolx8", "store p2[0] = %0 where %1")),
        Mismatch {
            what: "stored value",
            ..
        }
    ));
    assert_eq!(
        refusal(&with("boolx8", "%2 = load l7[0] where %1")),
        UnknownBuffer(Buf::Local(7))
    );
    let mut k = kernel_with("");
    let masked = Op::LoadMasked {
        buf: Buf::Param(0),
        index: IExpr::zero(),
        mask: ValueId(0),
    };
    k.functions[0].body.push((ValueId(9), masked));
    assert_eq!(kernel(&k).unwrap_err().kind, NotInFunction("a load"));
}

#[test]
fn lanes_are_powers_of_two_and_in_range() {
    assert_eq!(refusal("%0 = load x3 p0[0]"), Lanes(3));
    assert_eq!(refusal("%0 = load x2048 p0[0]"), Lanes(2048));
    assert_eq!(refusal("%0 = load x0 p0[0]"), Lanes(0));
    let out = LaneOutOfRange { lane: 8, lanes: 8 };
    assert_eq!(refusal("%0 = load x8 p0[0] %1 = extract %0[8]"), out);
    let shuffle = "%0 = load x4 p0[0] %1 = shuffle %0, %0 [0, 8]";
    assert_eq!(refusal(shuffle), out);
    assert!(matches!(
        refusal("%0 = load x4 p0[0] %1 = splat %0 x8"),
        Mismatch { .. }
    ));
}

#[test]
fn constants_and_bitcasts_keep_to_their_types() {
    assert!(matches!(refusal("%0 = const bf16 1.0"), OpType { .. }));
    assert!(matches!(
        refusal("%0 = const bool true %1 = bitcast %0 to u8"),
        OpType { .. }
    ));
    assert!(matches!(
        refusal("%0 = const f32 1.0 %1 = bitcast %0 to i64"),
        Mismatch { .. }
    ));
}

#[test]
fn dot_products_have_the_widths_of_the_instruction() {
    let dot = |n: u32| {
        format!(
            "%0 = load x{n} p0[0] %1 = load x{} l0[0] %2 = dotbf16 %0, %1, %1",
            2 * n
        )
    };
    assert_eq!(kernel(&kernel_with(&dot(16))), Ok(()));
    for lanes in [1, 2, 32] {
        assert!(matches!(refusal(&dot(lanes)), OpType { .. }));
    }
}

#[test]
fn checks_and_branches_take_a_scalar_predicate() {
    assert_eq!(refusal("%0 = const bool true fail 0 if %0"), ZeroFailCode);
    assert!(matches!(
        refusal("%0 = index 1 fail 1 if %0"),
        Mismatch { .. }
    ));
    assert!(matches!(
        refusal("%0 = const boolx4 true if %0 { }"),
        Mismatch { .. }
    ));
}

#[test]
fn a_target_without_the_instruction_refuses() {
    let k = kernel_with("%0 = const f32 1.0 %1 = fma %0, %0, %0");
    assert_eq!(kernel(&k), Ok(()));
    assert_eq!(for_target(&k, &Target::of(Isa::Avx2)), Ok(()));
    let error = for_target(&k, &Target::of(Isa::Sse42)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "body: %1: the target has no fused multiply-add"
    );
    let scale = kernel_with("%0 = const f64x8 1.0 %1 = scale %0, %0");
    assert_eq!(for_target(&scale, &Target::of(Isa::Avx512)), Ok(()));
    assert!(for_target(&scale, &Target::of(Isa::Avx2)).is_err());
    let dot = "for i1 in 0..1 { %0 = load x8 l0[0] %1 = load x4 p0[0] %2 = dotbf16 %1, %0, %0 }";
    assert!(for_target(&kernel_with(dot), &Target::of(Isa::Avx512)).is_err());
}
