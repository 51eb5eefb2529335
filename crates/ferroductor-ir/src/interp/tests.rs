//! The interpreter against values worked out by hand.

use super::scalar::{convert, dot_bf16, literal, prim};
use super::*;
use crate::dtype::DType::*;
use crate::prim::Literal;
use crate::text::{parse, print};

fn f32s(bytes: &[u8]) -> Vec<f32> {
    let word = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    bytes.chunks_exact(4).map(word).collect()
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn tiles_share_setup_registers_loops_and_locals() {
    // Each tile adds its element to a running sum kept in a register, via a local.
    let kernel = parse(
        "kernel prefix {
           param p0: f32 read
           param p1: f32 write
           sizes 1
           local l0: f32[s0]
           tiles s0
           setup { %0 = const f32 0.0 reg r0 = %0 }
           body {
             %1 = load x1 p0[i0]
             for i1 in 0..3 step 2 {
               %2 = get r0
               %3 = add %2, %1
               set r0 = %3
             }
             %4 = get r0
             store l0[i0] = %4
             %5 = load x1 l0[i0]
             store p1[i0] = %5
           }
         }",
    )
    .unwrap();
    let (mut input, mut output) = (bytes_of(&[1.0, 2.0, 3.0]), vec![0; 12]);
    let code = run(&kernel, &mut [&mut input, &mut output], &[3], 0, 3).unwrap();
    assert_eq!((code, f32s(&output)), (0, vec![2.0, 6.0, 12.0]));
    // A call for a part of the tiles starts with setup again and leaves the others alone.
    let code = run(&kernel, &mut [&mut input, &mut output], &[3], 1, 2).unwrap();
    assert_eq!((code, f32s(&output)), (0, vec![2.0, 4.0, 12.0]));
}

#[test]
fn vectors_move_lane_by_lane() {
    let kernel = parse(
        "kernel lanes {
           param p0: f32 readwrite
           tiles 1
           body {
             %0 = load x4 p0[0]
             %1 = load x4 p0[7 by -2]
             %2 = shuffle %0, %1 [0, 4, 1, 5, 3, 3, 7, 6]
             store p0[8] = %2
             %3 = ramp x4 from 3 by -1
             %4 = gather p0[%3]
             store p0[16] = %4
             %5 = const i64x4 20
             scatter p0[%5] = %4
             %6 = extract %1[2]
             %7 = splat %6 x2
             store p0[22] = %7
           }
         }",
    )
    .unwrap();
    let values: Vec<f32> = (0..24u8).map(f32::from).collect();
    let mut memory = bytes_of(&values);
    assert_eq!(run(&kernel, &mut [&mut memory], &[], 0, 1), Ok(0));
    let expected = [
        0., 7., 1., 5., 3., 3., 1., 3., 3., 2., 1., 0., 0., 21., 3., 3.,
    ];
    assert_eq!(f32s(&memory)[8..], expected);
}

#[test]
fn what_is_outside_a_buffer_is_an_error() {
    let outcome = |body: &str| {
        let text = format!(
            "kernel k {{ param p0: f32 readwrite sizes 1 local l0: bf16[4] tiles 1
             body {{ %9 = const f32x4 1.0 {body} }} }}"
        );
        let mut memory = bytes_of(&[0.0; 8]);
        run(&parse(&text).unwrap(), &mut [&mut memory], &[0], 0, 1).map_err(|e| e.to_string())
    };
    assert_eq!(outcome("store p0[4] = %9"), Ok(0));
    let message = "element 8 of Param(0), which has 8";
    assert_eq!(outcome("store p0[5] = %9").unwrap_err(), message);
    assert_eq!(
        outcome("%0 = load x4 p0[4 by -4]").unwrap_err(),
        "element -4 of Param(0), which has 8"
    );
    assert_eq!(
        outcome("%0 = load x8 l0[0]").unwrap_err(),
        "element 4 of Local(0), which has 4"
    );
    assert_eq!(
        outcome("%0 = index div(3, s0)").unwrap_err(),
        "index `div(3, s0)` has no value"
    );
    let huge = "%0 = const i64x4 -9223372036854775808 scatter p0[%0] = %9";
    assert!(
        outcome(huge)
            .unwrap_err()
            .starts_with("element -9223372036854775808")
    );
}

#[test]
fn wrong_buffers_and_sizes_are_errors() {
    let kernel =
        parse("kernel k { param p0: f32 read sizes 1 local l0: f32[s0] tiles 1 body { } }")
            .unwrap();
    let mut memory = vec![0; 4];
    assert_eq!(
        run(&kernel, &mut [], &[1], 0, 1),
        Err(InterpError::BufferCount {
            expected: 1,
            found: 0
        })
    );
    assert_eq!(
        run(&kernel, &mut [&mut memory], &[], 0, 1),
        Err(InterpError::SizeCount {
            expected: 1,
            found: 0
        })
    );
    assert_eq!(
        run(&kernel, &mut [&mut memory], &[-1], 0, 1),
        Err(InterpError::Local(IExpr::size(0)))
    );
}

#[test]
fn a_failed_check_stops_the_call_at_once() {
    let kernel = parse(
        "kernel k { param p0: bool readwrite tiles 4 body {
           %0 = load x1 p0[i0]
           fail 7 if %0
           %1 = not %0
           store p0[i0] = %1
         } }",
    )
    .unwrap();
    // Any byte but zero is true.
    let mut memory = vec![0, 0, 200, 0];
    assert_eq!(run(&kernel, &mut [&mut memory], &[], 0, 4), Ok(7));
    assert_eq!(memory, [1, 1, 200, 0]);
}

#[test]
fn locals_are_poisoned() {
    let kernel = parse(
        "kernel k { param p0: f32 write local l0: f32[1] tiles 1 body {
           %0 = load x1 l0[0] store p0[0] = %0 } }",
    )
    .unwrap();
    let mut memory = vec![0; 4];
    assert_eq!(run(&kernel, &mut [&mut memory], &[], 0, 1), Ok(0));
    assert!(f32s(&memory)[0].is_nan());
}

#[test]
fn functions_are_called_by_type_and_lanes() {
    let kernel = parse(
        "kernel k {
           param p0: f32 readwrite
           tiles 1
           function sign f32(%0) { %1 = neg %0 return %1 }
           function sign f32x2(%7) { %8 = shuffle %7, %7 [1, 0] return %8 }
           body {
             %0 = load x1 p0[0]
             %1 = sign %0
             %2 = sign %1
             %3 = sign %2
             store p0[0] = %3
             %4 = load x2 p0[1]
             %5 = sign %4
             store p0[1] = %5
           }
         }",
    )
    .unwrap();
    let mut memory = bytes_of(&[1.0, 2.0, 3.0]);
    assert_eq!(run(&kernel, &mut [&mut memory], &[], 0, 1), Ok(0));
    assert_eq!(f32s(&memory), [-1.0, 3.0, 2.0]);
}

#[test]
fn lanes_that_the_body_is_not_right_for_take_the_rare_result() {
    let kernel = parse(
        "kernel k {
           param p0: f32 readwrite
           tiles 1
           function exp f32x4(%0) {
             %1 = const f32x4 2.0
             %2 = gt %0, %1
             %3 = neg %0
             rare %2 {
               %4 = mul %3, %0
               return %4
             }
             return %3
           }
           body {
             %0 = load x4 p0[0]
             %1 = exp %0
             store p0[0] = %1
           }
         }",
    )
    .unwrap();
    let mut memory = bytes_of(&[1.0, 2.0, 3.0, f32::NAN]);
    assert_eq!(run(&kernel, &mut [&mut memory], &[], 0, 1), Ok(0));
    assert_eq!(f32s(&memory)[..3], [-1.0, -2.0, -9.0]);
    assert!(f32s(&memory)[3].is_nan());
    assert_eq!(parse(&print(&kernel)).unwrap(), kernel);
}

#[test]
fn scaling_rounds_once_and_knows_infinite_powers() {
    let f = |a: f32, b: f32| {
        let args = [u64::from(a.to_bits()), u64::from(b.to_bits())];
        f32::from_bits(prim(Prim::Scale, F32, &args).unwrap() as u32)
    };
    assert_eq!(f(3.0, 2.9), 12.0);
    assert_eq!(f(3.0, -0.1), 1.5);
    // Two roundings would give the even neighbour below.
    assert_eq!(f(1.0 + f32::EPSILON, -149.5), f32::from_bits(1));
    assert_eq!(f(f32::MIN_POSITIVE, 1e30), f32::INFINITY);
    assert_eq!(f(f32::NAN, f32::INFINITY), f32::INFINITY);
    assert_eq!(f(f32::NAN, f32::NEG_INFINITY).to_bits(), 0);
    assert!(f(f32::from_bits(0x7f80_0001), f32::INFINITY).is_nan());
    assert!(f(f32::NAN, 1.0).is_nan() && f(0.0, f32::INFINITY).is_nan());
    assert!(f(f32::INFINITY, f32::NEG_INFINITY).is_nan());
    assert_eq!(f(-0.0, f32::NEG_INFINITY).to_bits(), (-0f32).to_bits());
    assert_eq!(f(-2.0, f32::NEG_INFINITY).to_bits(), (-0f32).to_bits());
    let wide = prim(Prim::Scale, F64, &[1.5f64.to_bits(), (-1074f64).to_bits()]);
    assert_eq!(wide, Some(2));
}

fn int(op: Prim, scalar: Scalar, a: i64, b: i64) -> i64 {
    let args = [
        literal(Literal::Int(a), scalar),
        literal(Literal::Int(b), scalar),
    ];
    scalar::signed(prim(op, scalar, &args).unwrap(), scalar)
}

#[test]
fn integers_wrap_and_never_trap() {
    assert_eq!(int(Prim::Add, I8, 127, 1), -128);
    assert_eq!(int(Prim::Sub, U8, 0, 1), 255);
    assert_eq!(int(Prim::Mul, I64, i64::MAX, 2), -2);
    assert_eq!(int(Prim::Abs, I16, -32768, 0), -32768);
    assert_eq!(int(Prim::Neg, U8, 1, 0), 255);
    assert_eq!(int(Prim::Div, I32, 7, 0), 0);
    assert_eq!(int(Prim::Rem, I32, 7, 0), 0);
    assert_eq!(
        int(Prim::Div, I32, i64::from(i32::MIN), -1),
        i64::from(i32::MIN)
    );
    assert_eq!(int(Prim::Div, I8, -128, -1), -128);
    assert_eq!(int(Prim::Div, I64, i64::MIN, -1), i64::MIN);
    assert_eq!(int(Prim::Rem, I64, i64::MIN, -1), 0);
    assert_eq!(int(Prim::Div, I32, -7, 2), -3);
    assert_eq!(int(Prim::Rem, I32, -7, 2), -1);
    assert_eq!(int(Prim::Div, U8, 200, 3), 66);
}

#[test]
fn shifts_beyond_the_width_are_defined() {
    assert_eq!(int(Prim::Shl, I8, 3, 6), -64);
    assert_eq!(int(Prim::Shl, I8, 1, 8), 0);
    assert_eq!(int(Prim::Shl, I32, 1, -1), 0);
    assert_eq!(int(Prim::Shr, I8, -2, 1), -1);
    assert_eq!(int(Prim::Shr, I8, -2, 100), -1);
    assert_eq!(int(Prim::Shr, I8, 2, -1), 0);
    assert_eq!(int(Prim::Shr, U8, 200, 8), 0);
    assert_eq!(int(Prim::Shr, U8, 200, 255), 0);
    assert_eq!(int(Prim::Shr, U8, 200, 3), 25);
    assert_eq!(int(Prim::Shr, I64, i64::MIN, 64), -1);
}

#[test]
fn minnum_and_maxnum_give_the_second_operand_in_doubt() {
    let f = |op, a: f32, b: f32| {
        let args = [u64::from(a.to_bits()), u64::from(b.to_bits())];
        f32::from_bits(prim(op, F32, &args).unwrap() as u32)
    };
    assert_eq!(f(Prim::MinNum, 0.0, -0.0).to_bits(), (-0f32).to_bits());
    assert_eq!(f(Prim::MaxNum, -0.0, 0.0).to_bits(), 0);
    assert_eq!(f(Prim::MaxNum, 0.0, -0.0).to_bits(), (-0f32).to_bits());
    assert_eq!(f(Prim::MinNum, f32::NAN, 1.0), 1.0);
    assert!(f(Prim::MaxNum, 1.0, f32::NAN).is_nan());
    assert_eq!(f(Prim::Round, 2.5, 0.0), 2.0);
    assert_eq!(f(Prim::Round, -0.5, 0.0).to_bits(), (-0f32).to_bits());
    assert_eq!(f(Prim::CopySign, 3.0, -0.0), -3.0);
}

fn from_float(value: f64, to: Scalar) -> i64 {
    scalar::signed(convert(value.to_bits(), F64, to), to)
}

#[test]
fn floats_convert_to_integers_like_the_instruction() {
    for from in [f64::NAN, f64::INFINITY, -1e300, 1e300] {
        assert_eq!(from_float(from, I32), i64::from(i32::MIN));
        assert_eq!(from_float(from, I64), i64::MIN);
        assert_eq!(from_float(from, I16), 0);
        assert_eq!(from_float(from, U8), 0);
        assert_eq!(from_float(from, Bool), 1);
    }
    assert_eq!(from_float(-1.9, I32), -1);
    assert_eq!(from_float(-1.0, U8), 255);
    assert_eq!(from_float(300.0, I8), 44);
    assert_eq!(from_float(2_147_483_647.9, I32), 2_147_483_647);
    assert_eq!(from_float(-2_147_483_648.9, I32), -2_147_483_648);
    assert_eq!(from_float(2_147_483_648.0, I64), 2_147_483_648);
    assert_eq!(from_float(9.3e18, I64), i64::MIN);
    assert_eq!(from_float(-0.0, Bool), 0);
}

#[test]
fn integers_and_predicates_convert_by_value() {
    assert_eq!(convert(0xff, I8, I64) as i64, -1);
    assert_eq!(convert(0xff, U8, I64), 255);
    assert_eq!(convert(0x1_0000_0000, I64, Bool), 1);
    assert_eq!(convert(256, I64, U8), 0);
    assert_eq!(convert(1, Bool, F32), u64::from(1f32.to_bits()));
    // One rounding, not two by way of a double.
    let odd = (1i64 << 54) + (1 << 30) + 1;
    assert_eq!(
        convert(odd as u64, I64, F32),
        u64::from((odd as f32).to_bits())
    );
    assert_ne!((odd as f32).to_bits(), (odd as f64 as f32).to_bits());
}

#[test]
fn halves_round_to_nearest_even_and_keep_nan() {
    let half = |value: f32, to| convert(u64::from(value.to_bits()), F32, to);
    let bits = |bits: u32| f32::from_bits(bits);
    assert_eq!(half(bits(0x3f80_8000), BF16), 0x3f80);
    assert_eq!(half(bits(0x3f81_8000), BF16), 0x3f82);
    assert_eq!(half(bits(0x3f80_8001), BF16), 0x3f81);
    assert_eq!(half(f32::MAX, BF16), 0x7f80);
    assert_eq!(half(bits(0x0000_8001), BF16), 1);
    assert_eq!(half(bits(0x7f80_0001), BF16), 0x7fc0);
    assert_eq!(half(65519.0, F16), 0x7bff);
    assert_eq!(half(65520.0, F16), 0x7c00);
    assert_eq!(half(2f32.powi(-25), F16), 0);
    assert_eq!(half(2f32.powi(-25) * 1.5, F16), 1);
    assert_eq!(half(bits(0xff80_0001), F16), 0xfe00);
    assert_eq!(convert(1, F16, F32), u64::from((2f32.powi(-24)).to_bits()));
    assert_eq!(convert(0xffc0, BF16, F32), 0xffc0_0000);
    // From f64 by way of f32, as ATen does: the tie is broken twice.
    let tie = 1.0 + 2f64.powi(-11) + 2f64.powi(-40);
    assert_eq!(convert(tie.to_bits(), F64, F16), 0x3c00);
}

#[test]
fn every_half_widens_and_narrows_to_itself() {
    for half in 0..=0xffffu64 {
        for ty in [F16, BF16] {
            let wide = convert(half, ty, F32);
            if !f32::from_bits(wide as u32).is_nan() {
                assert_eq!(convert(wide, F32, ty), half);
            }
        }
    }
}

#[test]
fn dot_products_flush_subnormals_and_add_the_odd_pair_first() {
    let one = 0x3f80;
    let f = |value: f32| u64::from(value.to_bits());
    assert_eq!(dot_bf16(f(1.0), [one, one], [one, 0x4000]), f(4.0));
    assert_eq!(dot_bf16(1, [0, 0], [0, 0]), 0);
    assert_eq!(dot_bf16(0, [0x0001, 0], [one, 0]), 0);
    // (acc + odd) + even: 2^24 + 1 rounds away, then + 2^24.
    let (big, small) = (f(16_777_216.0), 0x4b80);
    assert_eq!(dot_bf16(big, [small, one], [one, one]), f(33_554_432.0));
    assert_eq!(dot_bf16(big, [0xcb80, one], [one, one]), 0);
}

#[test]
fn lanes_without_the_mask_are_zero_and_touch_nothing() {
    // The buffer ends in the middle of both accesses.
    let kernel = |limit: i64| {
        let text = format!(
            "kernel masked {{
               param p0: f32 readwrite
               tiles 1
               body {{
                 %0 = ramp x4 from 4 by 1
                 %1 = const i64x4 {limit}
                 %2 = lt %0, %1
                 %3 = load p0[4] where %2
                 store p0[0] = %3
                 %4 = neg %3
                 store p0[4] = %4 where %2
               }}
             }}"
        );
        parse(&text).unwrap()
    };
    let mut memory = bytes_of(&[9., 9., 9., 9., 5., 6.]);
    assert_eq!(run(&kernel(6), &mut [&mut memory], &[], 0, 1), Ok(0));
    assert_eq!(f32s(&memory), [5., 6., 0., 0., -5., -6.]);
    let error = run(&kernel(7), &mut [&mut memory], &[], 0, 1).unwrap_err();
    assert!(matches!(error, InterpError::OutOfBounds { element: 6, .. }));
}
