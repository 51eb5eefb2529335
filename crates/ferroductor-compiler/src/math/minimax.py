"""The polynomials of the math library: what each approximates, where, and how well.

`python minimax.py` reads every coefficient table out of the Rust sources beside this file, measures
its greatest error on the interval and fails if it exceeds the bound that the source states.
`python minimax.py TABLE` fits a table anew and prints it. Needs mpmath; single-precision fits need
scipy as well.

A table holds the coefficients of a polynomial in v, constant first. The error is that of the
polynomial times the weight, which turns it into a relative error of the function at hand.
"""

import pathlib
import re
import sys
from dataclasses import dataclass
from typing import Callable

import mpmath as mp
from mpmath import mpf

mp.mp.dps = 60
HERE = pathlib.Path(__file__).parent
TINY = mpf(10) ** -25


@dataclass
class Table:
    name: str
    file: str
    function: Callable  # of v
    weight: Callable  # of v
    low: mpf
    high: mpf
    bound: float  # log2 of the greatest error
    bits: int  # of a coefficient


def in_square(odd_ratio, at_zero):
    """A function of v = s^2, given as one of s; `at_zero` is its limit."""
    return lambda v: odd_ratio(mp.sqrt(v)) if v > TINY else mpf(at_zero)


def away_from_zero(function, at_zero):
    return lambda v: function(v) if abs(v) > TINY else mpf(at_zero)


HALF_LN_2 = mp.log(2) / 2 * mpf("1.0001")
QUARTER_PI = mp.pi / 4 * mpf("1.0001")
# log: f from sqrt(1/2) - 1 to sqrt(2) - 1, s = f / (2 + f).
F_LOW, F_HIGH = (mp.sqrt(0.5) - 1) * mpf("1.0001"), (mp.sqrt(2) - 1) * mpf("1.0001")
S_HIGH = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * mpf("1.0001")

exp_rest = away_from_zero(lambda r: (mp.expm1(r) - r) / r**2, mpf(1) / 2)
exp2_rest = away_from_zero(lambda r: (mpf(2) ** r - 1) / r, mp.log(2))
log_rest = away_from_zero(lambda f: (mp.log1p(f) - f + f * f / 2) / f**3, mpf(1) / 3)
log_ratio = in_square(lambda s: (2 * mp.atanh(s) / s - 2) / s**2, mpf(2) / 3)
tanh_rest = in_square(lambda a: (mp.tanh(a) / a - 1) / a**2, mpf(-1) / 3)
sin_rest = in_square(lambda r: (mp.sin(r) / r - 1) / r**2, mpf(-1) / 6)
cos_rest = in_square(lambda r: (mp.cos(r) - 1) / r**2, mpf(-1) / 2)
cos_tail = in_square(lambda r: (mp.cos(r) - 1 + r**2 / 2) / r**4, mpf(1) / 24)
atan_rest = in_square(lambda t: (mp.atan(t) / t - 1) / t**2, mpf(-1) / 3)
asin_rest = in_square(lambda s: (mp.asin(s) / s - 1) / s**2, mpf(1) / 6)
erf_ratio = in_square(lambda a: mp.erf(a) / a - 1, 2 / mp.sqrt(mp.pi) - 1)
log2_ratio = in_square(lambda s: mp.atanh(s) / s * 2 / mp.log(2), 2 / mp.log(2))
atanh_rest = in_square(lambda s: (mp.atanh(s) / s - 1 - s**2 / 3) / s**4, mpf(1) / 5)
erf_exponent = away_from_zero(lambda a: -mp.log(mp.erfc(a)) / a - 1, 2 / mp.sqrt(mp.pi) - 1)
erf_weight = away_from_zero(lambda a: a * mp.erfc(a) / mp.erf(a), mp.sqrt(mp.pi) / 2)


def erfc_factor(q):
    """In q = (a - 4) / (a + 4)."""
    a = 4 * (1 + q) / (1 - q)
    return mp.exp(a * a) * mp.erfc(a) * (1 + 2 * a)


def relative_to(function, power):
    """The weight v^power / function, zero at zero where the power is."""
    return away_from_zero(lambda v: abs(v**power / function(v)), 0)


def in_square_weight(function, power):
    """For a polynomial in v = s^2 that is multiplied by s^power."""
    return in_square(lambda s: abs(s**power / function(s)), 0)


E = mp.exp
TABLES = [
    Table("EXP_F32", "exp.rs", exp_rest, relative_to(E, 2), -HALF_LN_2, HALF_LN_2, -28, 24),
    Table("EXP_F64", "exp.rs", exp_rest, relative_to(E, 2), -HALF_LN_2, HALF_LN_2, -56, 53),
    Table("EXPM1_F32", "exp.rs", exp_rest, relative_to(mp.expm1, 2), -HALF_LN_2, HALF_LN_2, -26, 24),
    Table("EXPM1_F64", "exp.rs", exp_rest, relative_to(mp.expm1, 2), -HALF_LN_2, HALF_LN_2, -58, 53),
    Table("EXP2_F32", "exp.rs", exp2_rest, relative_to(lambda r: 2**r, 1), mpf(-0.5), mpf(0.5), -28, 24),
    Table("EXP2_F64", "exp.rs", exp2_rest, relative_to(lambda r: 2**r, 1), mpf(-0.5), mpf(0.5), -55, 53),
    Table("LOG_F32", "log.rs", log_rest, relative_to(mp.log1p, 3), F_LOW, F_HIGH, -27, 24),
    Table("LOG_F64", "log.rs", log_ratio, in_square_weight(mp.atanh, 3), mpf(0), S_HIGH**2, -57, 53),
    Table("TANH_F32", "hyperbolic.rs", tanh_rest, in_square_weight(mp.tanh, 3), mpf(0), mpf("0.3025"), -29, 24),
    Table("TANH_F64", "hyperbolic.rs", tanh_rest, in_square_weight(mp.tanh, 3), mpf(0), mpf("0.3025"), -58, 53),
    Table("ERF_F32", "erf.rs", erf_exponent, erf_weight, mpf(0), mpf(4), -27, 24),
    Table("ERF_F64", "erf.rs", erf_exponent, erf_weight, mpf(0), mpf(6), -56, 53),
    Table("ERFC", "erf.rs", erfc_factor, lambda q: 1 / erfc_factor(q), mpf(-3.5) / mpf(4.5), mpf(24) / 32, -54, 53),
    Table("ERF_SMALL", "erf.rs", erf_ratio, in_square(lambda a: a / mp.erf(a), mp.sqrt(mp.pi) / 2), mpf(0), mpf(0.25), -56, 53),
    Table("SIN", "trig.rs", sin_rest, in_square_weight(mp.sin, 3), mpf(0), QUARTER_PI**2, -27, 24),
    Table("COS", "trig.rs", cos_rest, in_square_weight(mp.cos, 2), mpf(0), QUARTER_PI**2, -32, 24),
    Table("SIN_WIDE", "trig.rs", sin_rest, in_square_weight(mp.sin, 3), mpf(0), QUARTER_PI**2, -37, 53),
    Table("COS_WIDE", "trig.rs", cos_rest, in_square_weight(mp.cos, 2), mpf(0), QUARTER_PI**2, -43, 53),
    Table("SIN_F64", "trig_double.rs", sin_rest, in_square_weight(mp.sin, 3), mpf(0), QUARTER_PI**2, -56, 53),
    Table("COS_F64", "trig_double.rs", cos_tail, in_square_weight(mp.cos, 4), mpf(0), QUARTER_PI**2, -59, 53),
    Table("ATAN", "inverse_trig.rs", atan_rest, in_square_weight(mp.atan, 3), mpf(0), mpf(0.25), -57, 53),
    Table("ASIN", "inverse_trig.rs", asin_rest, in_square_weight(mp.asin, 3), mpf(0), mpf(0.25), -58, 53),
    Table("LOG2", "pow.rs", log2_ratio, lambda v: 1 / log2_ratio(v), mpf(0), S_HIGH**2, -45, 53),
    Table("EXP2", "pow.rs", lambda r: mpf(2) ** r, lambda r: mpf(2) ** -r, mpf(-0.5), mpf(0.5), -34, 53),
    Table("ATANH_REST", "pow.rs", atanh_rest, lambda v: v**2, mpf(0), S_HIGH**2, -65, 53),
]


def coefficients(table):
    source = (HERE / table.file).read_text()
    found = re.search(rf"const {table.name}: \[f64; \d+\] = \[(.*?)\];", source, re.S)
    if not found:
        sys.exit(f"no table {table.name} in {table.file}")
    values = [float(text) for text in found.group(1).split(",") if text.strip()]
    return [rounded(mpf(value), table.bits) for value in values]


def rounded(value, bits):
    with mp.workprec(bits):
        return +value


def points(table, count):
    """Denser at the ends, like the zeros of Chebyshev polynomials."""
    middle, half = (table.low + table.high) / 2, (table.high - table.low) / 2
    return [middle - half * mp.cos(mp.pi * (i + mpf(0.5)) / count) for i in range(count)]


def greatest_error(table, polynomial, count=1500):
    error = lambda v: abs(table.weight(v) * (table.function(v) - mp.polyval(polynomial[::-1], v)))
    return max(error(v) for v in points(table, count))


def fit_double(table, terms):
    """Remez's exchange on a grid; coefficients are rounded at the end."""
    grid = points(table, 600)
    values, weights = [table.function(v) for v in grid], [table.weight(v) for v in grid]
    chosen = [round(len(grid) * (i + 0.5) / (terms + 1)) for i in range(terms + 1)]
    for _ in range(40):
        matrix, right = mp.matrix(terms + 1, terms + 1), mp.matrix(terms + 1, 1)
        for row, at in enumerate(chosen):
            for k in range(terms):
                matrix[row, k] = grid[at] ** k * weights[at]
            matrix[row, terms], right[row] = (-1) ** row, values[at] * weights[at]
        solution = list(mp.lu_solve(matrix, right))
        polynomial, level = solution[:terms], abs(solution[terms])
        errors = [w * (f - mp.polyval(polynomial[::-1], v)) for v, f, w in zip(grid, values, weights)]
        chosen = alternation(errors, terms + 1) or chosen
        if max(abs(e) for e in errors) <= level * mpf("1.001"):
            break
    return [rounded(c, table.bits) for c in polynomial]


def alternation(errors, count):
    """The extremes of the runs of equal sign, as many as wanted; None if there are fewer."""
    runs = [[0]]
    for at in range(1, len(errors)):
        if errors[at] * errors[runs[-1][0]] < 0:
            runs.append([])
        runs[-1].append(at)
    extremes = [max(run, key=lambda at: abs(errors[at])) for run in runs]
    while len(extremes) > count:
        extremes.pop(0 if abs(errors[extremes[0]]) < abs(errors[extremes[-1]]) else -1)
    return extremes if len(extremes) == count else None


def fit_single(table, terms):
    """Linear programming, rounding one coefficient after the other and refitting the rest."""
    import numpy as np
    from scipy.optimize import linprog

    scale, grid, fixed = 2.0**26, [v for v in points(table, 500) if v != 0], []
    weights = [table.weight(v) * mpf(scale) for v in grid]
    while len(fixed) < terms:
        powers = range(len(fixed), terms)
        rest = [w * (table.function(v) - mp.polyval((fixed or [0])[::-1], v)) for v, w in zip(grid, weights)]
        basis = np.array([[float(w * v**k) for k in powers] for v, w in zip(grid, weights)])
        size = np.abs(basis).max(axis=0)
        basis, right, ones = basis / size, np.array([float(x) for x in rest]), np.ones((len(grid), 1))
        rows = np.vstack([np.hstack([basis, -ones]), np.hstack([-basis, -ones])])
        bounds = [(None, None)] * len(powers) + [(0, None)]
        found = linprog([0] * len(powers) + [1], A_ub=rows, b_ub=np.r_[right, -right], bounds=bounds)
        fixed.append(rounded(mpf(found.x[0] / size[0]), table.bits))
    return fixed


def main():
    if len(sys.argv) > 1:
        for table in (t for t in TABLES if t.name in sys.argv[1:]):
            terms = len(coefficients(table))
            polynomial = (fit_single if table.bits == 24 else fit_double)(table, terms)
            error = float(mp.log(greatest_error(table, polynomial), 2))
            print(f"{table.name}: error 2^{error:.2f}")
            print("".join(f"    {mp.nstr(c, 9 if table.bits == 24 else 17)},\n" for c in polynomial))
        return
    failed = False
    for table in TABLES:
        error = float(mp.log(greatest_error(table, coefficients(table)), 2))
        failed |= error > table.bound
        print(f"{table.name:12} 2^{error:.2f}, stated 2^{table.bound}{'  TOO LARGE' if error > table.bound else ''}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
