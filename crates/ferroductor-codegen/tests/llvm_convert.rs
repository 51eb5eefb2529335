//! Every conversion between native types, at every width, on every instruction set that this
//! machine has, and half precision over its whole range with and without the machine's help.

mod llvm_common;

use ferroductor_codegen::llvm::{self, Options};
use ferroductor_ir::DType;
use ferroductor_ir::kernel::*;
use ferroductor_loader::supports;
use llvm_common::*;

fn convert_kernel(from: DType, to: DType, lanes: u32) -> Kernel {
    map_kernel(&[from], to, lanes, |body| {
        let value = ValueId(0);
        body.push(let_(100, Op::Convert { value, to }));
    })
}

/// A number between conversions; integers and floats apart, for neither holds the other.
#[derive(Clone, Copy, Debug)]
enum Number {
    Int(i64),
    Float(f64),
}

fn samples(dtype: DType) -> Vec<Number> {
    let floats = [
        0.0,
        -0.0,
        0.4,
        -0.4,
        0.6,
        1.0,
        -1.0,
        1.5,
        -1.5,
        126.9,
        127.0,
        128.0,
        -128.0,
        -129.0,
        255.0,
        256.0,
        32767.0,
        32768.0,
        -32769.0,
        65504.0,
        65519.0,
        65520.0,
        2147483520.0,
        2147483647.0,
        2147483648.0,
        -2147483648.0,
        -2147483649.0,
        4294967296.0,
        9.2e18,
        9223372036854775808.0,
        -9223372036854775808.0,
        -9.3e18,
        1e30,
        -1e30,
        1e39,
        1e300,
        1e-40,
        1e-300,
        6e-8,
        2.9e-8,
        3.0e-8,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        0.1,
        1.0 / 3.0,
    ];
    let ints = [
        0,
        1,
        -1,
        2,
        3,
        100,
        127,
        128,
        -128,
        -129,
        255,
        256,
        257,
        32767,
        -32768,
        32768,
        65535,
        65536,
        i64::from(i32::MAX),
        i64::from(i32::MIN),
        1 << 32,
        (1 << 24) + 1,
        (1 << 53) + 1,
        -(1 << 53) - 1,
        i64::MAX,
        i64::MIN,
        0x0123_4567_89ab_cdef,
        16777217,
        16777219,
    ];
    match dtype {
        DType::Bool => vec![Number::Int(0), Number::Int(1)],
        _ if dtype.is_float() => floats.map(Number::Float).to_vec(),
        _ => ints.map(Number::Int).to_vec(),
    }
}

fn int_bytes(value: i64, dtype: DType) -> Vec<u8> {
    value.to_le_bytes()[..dtype.size()].to_vec()
}

/// The number as the type holds it, and its bytes.
fn store_as(number: Number, dtype: DType) -> (Number, Vec<u8>) {
    let as_f64 = match number {
        Number::Int(i) => i as f64,
        Number::Float(x) => x,
    };
    let as_f32 = match number {
        Number::Int(i) => i as f32,
        Number::Float(x) => x as f32,
    };
    match dtype {
        DType::F64 => (Number::Float(as_f64), as_f64.bytes()),
        DType::F32 => (Number::Float(f64::from(as_f32)), as_f32.bytes()),
        DType::F16 => {
            let bits = f32_to_f16(as_f32);
            (Number::Float(f64::from(f16_to_f32(bits))), bits.bytes())
        }
        DType::BF16 => {
            let bits = f32_to_bf16(as_f32);
            let back = f32::from_bits(u32::from(bits) << 16);
            (Number::Float(f64::from(back)), bits.bytes())
        }
        DType::Bool => {
            let holds = match number {
                Number::Int(i) => i != 0,
                Number::Float(x) => x != 0.0,
            };
            (Number::Int(i64::from(holds)), vec![u8::from(holds)])
        }
        _ => {
            let wide = match number {
                Number::Int(i) => i,
                Number::Float(x) if dtype == DType::I64 => truncated(x, i64::MIN),
                Number::Float(x) => truncated(x, i64::from(i32::MIN)),
            };
            let bytes = int_bytes(wide, dtype);
            let bits = 8 * dtype.size() as u32;
            let wrapped = match dtype {
                DType::U8 => wide & 0xff,
                _ => (wide << (64 - bits)) >> (64 - bits),
            };
            (Number::Int(wrapped), bytes)
        }
    }
}

/// Towards zero; the minimum for NaN and whatever has no place between it and its counterpart.
fn truncated(x: f64, minimum: i64) -> i64 {
    let limit = -(minimum as f64);
    let whole = x.trunc();
    if whole >= -limit && whole < limit {
        whole as i64
    } else {
        minimum
    }
}

// Half precision, bit by bit, from the definition rather than from the emitter's tricks.

fn f16_to_f32(h: u16) -> f32 {
    let sign = if h >> 15 == 1 { -1.0f64 } else { 1.0 };
    let (exponent, fraction) = ((h >> 10) & 31, f64::from(h & 0x3ff));
    let value = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => {
            let payload = u32::from(h & 0x3ff) << 13;
            return f32::from_bits(u32::from(h >> 15) << 31 | 0x7fc0_0000 | payload);
        }
        e => (1.0 + fraction / 1024.0) * 2f64.powi(i32::from(e) - 15),
    };
    (sign * value) as f32
}

fn f32_to_f16(x: f32) -> u16 {
    let sign = ((x.to_bits() >> 16) & 0x8000) as u16;
    if x.is_nan() {
        return sign | 0x7e00 | ((x.to_bits() >> 13) & 0x3ff) as u16;
    }
    let magnitude = f64::from(x.abs());
    // The spacing of half-precision numbers around the value; never finer than the subnormals'.
    let exponent = (magnitude.log2().floor() as i32).clamp(-14, 15);
    let spacing = 2f64.powi(exponent - 10);
    let rounded = (magnitude / spacing).round_ties_even() * spacing;
    if rounded >= 65520.0 || magnitude.is_infinite() {
        return sign | 0x7c00;
    }
    if rounded < 2f64.powi(-14) {
        return sign | (rounded * 2f64.powi(24)) as u16;
    }
    let exponent = rounded.log2().floor() as i32;
    let fraction = (rounded / 2f64.powi(exponent) - 1.0) * 1024.0;
    sign | ((exponent + 15) as u16) << 10 | fraction as u16
}

fn f32_to_bf16(x: f32) -> u16 {
    let upper = (x.to_bits() >> 16) as u16;
    if x.is_nan() {
        return upper | 0x40;
    }
    let rest = x.to_bits() & 0xffff;
    let up = rest > 0x8000 || (rest == 0x8000 && upper & 1 == 1);
    upper.wrapping_add(u16::from(up))
}

#[test]
fn between_all_types() {
    for from in DType::native() {
        let mut input = Vec::new();
        let mut numbers = Vec::new();
        for number in samples(from) {
            let (number, bytes) = store_as(number, from);
            numbers.push(number);
            input.extend(bytes);
        }
        while numbers.len() % 32 != 0 {
            let (number, bytes) = store_as(Number::Int(1), from);
            numbers.push(number);
            input.extend(bytes);
        }
        for to in DType::native() {
            for lanes in [1, 2, 4, 8, 16, 32] {
                let kernel = convert_kernel(from, to, lanes);
                let got = run_map(&kernel, std::slice::from_ref(&input), lanes);
                for (i, number) in numbers.iter().enumerate() {
                    let (_, want) = store_as(*number, to);
                    let got = &got[i * to.size()..(i + 1) * to.size()];
                    let nan = matches!(number, Number::Float(x) if x.is_nan());
                    if nan && to.is_float() {
                        continue;
                    }
                    assert_eq!(got, want, "{from} {number:?} to {to} × {lanes}");
                }
            }
        }
    }
}

/// The conversions of one target alone: they must not differ by a bit, NaN included.
fn run_on(
    target: &Target,
    kernel: &Kernel,
    input: &[u8],
    output_bytes: usize,
    tiles: i64,
) -> Vec<u8> {
    let code = compile(kernel, target);
    let mut buffers = vec![input.to_vec(), vec![0; output_bytes]];
    assert_eq!(call(&code, kernel, &mut buffers, &[], (0, tiles)), 0);
    buffers.pop().unwrap()
}

#[test]
fn half_precision_over_its_whole_range() {
    let halves: Vec<u16> = (0..=u16::MAX).collect();
    // Every bf16, its upper neighbours, both sides of every rounding boundary of both halves.
    let offsets = [
        0u32, 1, 0x0fff, 0x1000, 0x1001, 0x2fff, 0x3000, 0x7fff, 0x8000, 0x8001, 0xffff,
    ];
    let mut singles: Vec<u32> = (0..=u16::MAX)
        .flat_map(|upper| offsets.map(|o| u32::from(upper) << 16 | o))
        .collect();
    singles.truncate(singles.len() / 32 * 32);
    for target in runnable_targets() {
        for lanes in [1u32, 8, 16, 32] {
            let tiles = halves.len() as i64 / i64::from(lanes);
            for (from, widen) in [
                (DType::F16, f16_to_f32 as fn(u16) -> f32),
                (DType::BF16, |h| f32::from_bits(u32::from(h) << 16)),
            ] {
                let kernel = convert_kernel(from, DType::F32, lanes);
                let got = run_on(&target, &kernel, &bytes(&halves), 4 * halves.len(), tiles);
                for (h, got) in halves.iter().zip(values::<u32>(&got)) {
                    let want = widen(*h).to_bits();
                    assert_eq!(got, want, "{from} {h:#x} × {lanes} on {target:?}");
                }
            }
            let tiles = singles.len() as i64 / i64::from(lanes);
            for (to, narrow) in [
                (DType::F16, f32_to_f16 as fn(f32) -> u16),
                (DType::BF16, f32_to_bf16),
            ] {
                let kernel = convert_kernel(DType::F32, to, lanes);
                let got = run_on(&target, &kernel, &bytes(&singles), 2 * singles.len(), tiles);
                for (x, got) in singles.iter().zip(values::<u16>(&got)) {
                    let want = narrow(f32::from_bits(*x));
                    assert_eq!(got, want, "{x:#x} to {to} × {lanes} on {target:?}");
                }
            }
        }
    }
}

/// The fast paths are there: one instruction each.
#[test]
fn hot_conversions_are_one_instruction() {
    let target = Target::of(Isa::Avx512);
    for (from, to, instruction) in [
        (DType::F32, DType::I32, "vcvttps2dq"),
        (DType::F16, DType::F32, "vcvtph2ps"),
        (DType::F32, DType::F16, "vcvtps2ph"),
    ] {
        let kernel = convert_kernel(from, to, 16);
        let list = [("k".to_string(), &kernel)];
        let text = llvm::assembly(&list, &target, &Options::default()).unwrap();
        assert!(text.contains(instruction), "{text}");
        for slow in ["vcmp", "vpminsd", "vpsrld"] {
            assert!(!text.contains(slow), "{text}");
        }
    }
    assert!(supports(&target) || !runnable_targets().contains(&target));
}
