//! The error function.

use super::builder::Value;
use super::exp::{exp_times, expm1_of_sum};

/// `(-log(1 - erf(a)) - a) / a` for `a` from 0 to 4; error 2^-27 of `erf(a)`.
const ERF_F32: [f64; 9] = [
    0.12837917,
    0.63661957,
    0.102776304,
    -0.019147826,
    -0.00016948437,
    0.0016756388,
    -0.0006373312,
    0.000118848606,
    -9.386091e-06,
];

/// The same for `a` from 0 to 6; error 2^-56.
const ERF_F64: [f64; 26] = [
    0.1283791670955126,
    0.6366197723675816,
    0.10277260330192355,
    -0.019128447008672108,
    -0.00020919464425738881,
    0.0016962059533347318,
    -0.0005901230955641415,
    2.586876256686643e-05,
    6.452080004604841e-05,
    -2.978840874992228e-05,
    3.517956078383581e-06,
    2.6854827936222966e-06,
    -1.5805128877822961e-06,
    1.9724472954866132e-07,
    2.3423964323762603e-07,
    -1.9661131763456648e-07,
    9.085121296006686e-08,
    -3.0260405390041865e-08,
    7.763767341211986e-09,
    -1.5630945152755465e-09,
    2.4634549451184574e-10,
    -2.986888901259811e-11,
    2.6936646125940683e-12,
    -1.702311723833113e-13,
    6.726112681285857e-15,
    -1.2498512843038563e-16,
];
/// `e^(a^2) erfc(a) (1 + 2 a)` in powers of `(a - 4) / (a + 4)`, for `a` from 1/2 to 28; error
/// 2^-54.
const ERFC: [f64; 22] = [
    1.2329951186255526,
    -0.1396211168405625,
    0.01537965210261891,
    0.06809705425468973,
    -0.10103906603624606,
    0.09373283499847421,
    -0.0663303658138004,
    0.03716751553502712,
    -0.016197734035838556,
    0.005031970005079864,
    -0.0007577734659632888,
    -0.00019925687871597943,
    0.00015062256930853694,
    -2.439840210902283e-05,
    -1.1224927655519906e-05,
    5.707348325170382e-06,
    2.99866823466559e-07,
    -8.207911269188696e-07,
    6.675570098062443e-08,
    1.043263623863887e-07,
    -1.2125104706816922e-08,
    -1.0031917047164338e-08,
];
/// `erf(a) / a - 1` in powers of `a^2`, for `a` up to 1/2; error 2^-56.
const ERF_SMALL: [f64; 9] = [
    0.12837916709551256,
    -0.37612638903183465,
    0.11283791670924813,
    -0.026866170632715684,
    0.005223977370325059,
    -0.0008548297524307522,
    0.00012053324310301528,
    -1.4845583669810084e-05,
    1.4723214762719855e-06,
];

/// `erf(a) = 1 - e^-y` with `y = a + a p(a)`. Needs no division, and an error of `y` fades as
/// the result nears one. Near zero `y` goes on in two parts, since it is larger than the result.
pub fn erf(x: Value<'_>) -> Value<'_> {
    let a = x.abs().at_most(x.by_format(4.0, 6.0));
    let p = a.polynomial(x.by_format(&ERF_F32, &ERF_F64));
    let y = a.fma(p, a);
    let lost = a.fma(p, a - y);
    expm1_of_sum(-y, Some(-lost)).copy_sign(x)
}

/// `1 - erf(x)`, in double precision: beyond one half, where that would cancel, `e^(-a^2)` times a
/// smooth function.
pub fn erfc(x: Value<'_>) -> Value<'_> {
    let a = x.abs().at_most(28.0);
    let divisor = a + 4.0;
    let quotient = (a - 4.0) / divisor;
    // One step of Newton's method against the exact quotient.
    let remainder = quotient.fnma(a, (quotient + 1.0).fnma(4.0, a));
    let variable = quotient + remainder / divisor;
    let factor = variable.polynomial(&ERFC) / (a * 2.0 + 1.0);
    let (square, square_rest) = a.exact_product(a);
    let tail = exp_times(-square, -square_rest, factor);
    let outside = x.lt(0.0).select(2.0 - tail, tail);
    let inside = 1.0 - x.fma((x * x).polynomial(&ERF_SMALL), x);
    a.lt(0.5).select(inside, outside)
}
