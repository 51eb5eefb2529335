//! What stands above the kernels: includes, vector types and helper functions, each only if used.
//!
//! Helpers on lanes are plain loops over the lanes: GCC and clang turn them into one instruction
//! where the target has it.

use super::ctype::{CType, Lane};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Templates, in the order in which they are printed: name, what else they need, text.
const TEMPLATES: &[(&str, &[&str], &str)] = &[
    (
        "load",
        &["Unaligned"],
        "template <class V> INLINE V load(const void *at) {
  return static_cast<const Unaligned<V> *>(at)->value;
}",
    ),
    (
        "store",
        &["Unaligned"],
        "template <class V> INLINE void store(void *at, V value) {
  static_cast<Unaligned<V> *>(at)->value = value;
}",
    ),
    (
        "Unaligned",
        &[],
        "// A vector in memory, aligned as its elements are.
template <class V> struct __attribute__((packed, may_alias)) Unaligned { V value; };",
    ),
    (
        "lanes",
        &[],
        "template <class V> constexpr int lanes = sizeof(V) / sizeof(V{}[0]);",
    ),
    (
        "Element",
        &[],
        "template <class V> using Element = std::remove_reference_t<decltype(V{}[0])>;",
    ),
    (
        "splat",
        &["Element"],
        "// The value in every lane.
template <class V> INLINE V splat(Element<V> value) {
  return value - V{};
}",
    ),
    (
        "ramp",
        &["lanes"],
        "// first, first + step, first + 2 * step, ...
template <class V> INLINE V ramp(int64_t first, int64_t step) {
  V result{};
  for (int l = 0; l < lanes<V>; ++l) result[l] = first + l * step;
  return result;
}",
    ),
    (
        "stream",
        &["store"],
        "// To an address that is a multiple of the vector's size, past the caches.
template <class V> INLINE void stream(void *at, V value) {
#ifdef __x86_64__
  if constexpr (sizeof(V) == 64) _mm512_stream_si512(static_cast<__m512i *>(at), (__m512i)value);
  else if constexpr (sizeof(V) == 32) _mm256_stream_si256(static_cast<__m256i *>(at), (__m256i)value);
  else _mm_stream_si128(static_cast<__m128i *>(at), (__m128i)value);
#else
  store(at, value);
#endif
}",
    ),
    (
        "fence",
        &[],
        "// Orders what was streamed before what follows.
INLINE void fence() {
#ifdef __x86_64__
  _mm_sfence();
#endif
}",
    ),
    (
        "prefetch",
        &[],
        "// Asks for an element that will be read later. The index may lie outside the array.
template <class T> INLINE void prefetch(const T *from, int64_t index) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(from) + index * sizeof(T);
  __builtin_prefetch(reinterpret_cast<const void *>(at), 0, 2);
}",
    ),
    (
        "prefetch_near",
        &[],
        "// Asks for an element that will be read soon. The index may lie outside the array.
template <class T> INLINE void prefetch_near(const T *from, int64_t index) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(from) + index * sizeof(T);
  __builtin_prefetch(reinterpret_cast<const void *>(at), 0, 3);
}",
    ),
    (
        "load_where",
        &["lanes"],
        "// Only the elements where the mask holds are touched; the other lanes are 0.
template <class V, class T, class M> INLINE V load_where(const T *at, M mask) {
  V result;
  for (int l = 0; l < lanes<V>; ++l) result[l] = mask[l] ? at[l] : T(0);
  return result;
}",
    ),
    (
        "store_where",
        &["lanes"],
        "// Only the elements where the mask holds are touched.
template <class T, class V, class M> INLINE void store_where(T *at, V value, M mask) {
  for (int l = 0; l < lanes<V>; ++l) {
    if (mask[l]) at[l] = value[l];
  }
}",
    ),
    (
        "load_strided",
        &["lanes"],
        "// Elements `stride` apart.
template <class V, class T> INLINE V load_strided(const T *at, int64_t stride) {
  V result{};
  for (int l = 0; l < lanes<V>; ++l) result[l] = at[l * stride];
  return result;
}",
    ),
    (
        "gather",
        &["lanes"],
        "// The element of each index.
template <class V, class T, class I> INLINE V gather(const T *from, I index) {
  V result{};
  for (int l = 0; l < lanes<V>; ++l) result[l] = from[index[l]];
  return result;
}",
    ),
    (
        "scatter",
        &["lanes"],
        "// Lane after lane, so that the last of equal indices stays.
template <class T, class I, class V> INLINE void scatter(T *to, I index, V value) {
  for (int l = 0; l < lanes<V>; ++l) to[index[l]] = value[l];
}",
    ),
    (
        "shuffle",
        &["lanes"],
        "// Lanes of a, then of b, picked by number.
template <class R, int... L, class V> INLINE R shuffle(V a, V b) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, L...);
#else
  R result{};
  int at = 0;
  ((result[at++] = L < lanes<V> ? a[L % lanes<V>] : b[L % lanes<V>]), ...);
  return result;
#endif
}",
    ),
    (
        "bits_as",
        &[],
        "// The same bits as another type.
template <class To, class From> INLINE To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}",
    ),
    (
        "minnum",
        &[],
        "// The second where either is NaN or both are zeros.
template <class T> INLINE T minnum(T a, T b) {
  return a < b ? a : b;
}",
    ),
    (
        "maxnum",
        &[],
        "// The second where either is NaN or both are zeros.
template <class T> INLINE T maxnum(T a, T b) {
  return a > b ? a : b;
}",
    ),
    (
        "divide",
        &[],
        "// Towards zero; by zero gives 0.
template <class T> INLINE T divide(T a, T b) {
  if (b == 0) return 0;
  // -1 apart, for the smallest integer over -1 traps.
  return b == T(-1) && T(-1) < 0 ? T(0 - uint64_t(a)) : T(a / b);
}",
    ),
    (
        "remainder_of",
        &[],
        "// With the sign of the dividend; by zero gives 0.
template <class T> INLINE T remainder_of(T a, T b) {
  if (b == 0 || (b == T(-1) && T(-1) < 0)) return 0;
  return T(a % b);
}",
    ),
    (
        "shift_left",
        &[],
        "// Counts beyond the width give 0.
template <class T> INLINE T shift_left(T a, T count) {
  const bool inside = uint64_t(count) < 8 * sizeof(T);
  return inside ? T(uint64_t(a) << count) : T(0);
}",
    ),
    (
        "shift_right",
        &[],
        "// Counts beyond the width leave only the sign.
template <class T> INLINE T shift_right(T a, T count) {
  const bool inside = uint64_t(count) < 8 * sizeof(T);
  return inside ? T(a >> count) : T(a < 0 ? -1 : 0);
}",
    ),
    (
        "divide_lanes",
        &[],
        "template <class V> INLINE V divide_lanes(V a, V b) {
  const V none{}, ones = none + 1, minus = none - 1;
  const auto negates = (b == minus) & (minus < none);
  const V quotient = a / (negates | (b == none) ? ones : b);
  return b == none ? none : negates ? -a : quotient;
}",
    ),
    (
        "remainder_of_lanes",
        &[],
        "template <class V> INLINE V remainder_of_lanes(V a, V b) {
  const V none{}, ones = none + 1, minus = none - 1;
  const auto is_none = (b == none) | ((b == minus) & (minus < none));
  return is_none ? none : a % (is_none ? ones : b);
}",
    ),
    (
        "shift_left_lanes",
        &["splat"],
        "template <class V> INLINE V shift_left_lanes(V a, V count) {
  const V none{}, bits = splat<V>(8 * sizeof(a[0]));
  const auto inside = (count >= none) & (count < bits);
  return inside ? a << (inside ? count : none) : none;
}",
    ),
    (
        "shift_right_lanes",
        &["splat"],
        "template <class V> INLINE V shift_right_lanes(V a, V count) {
  const V none{}, minus = none - 1, bits = splat<V>(8 * sizeof(a[0]));
  const auto inside = (count >= none) & (count < bits);
  const V sign = a < none ? minus : none;
  return inside ? a >> (inside ? count : none) : sign;
}",
    ),
    (
        "fma_lanes",
        &["lanes"],
        "// a * b + c, rounded once.
template <class V> INLINE V fma_lanes(V a, V b, V c) {
  for (int l = 0; l < lanes<V>; ++l) a[l] = std::fma(a[l], b[l], c[l]);
  return a;
}",
    ),
    (
        "any",
        &["lanes"],
        "// Does the mask hold in some lane?
template <class M> INLINE bool any(M mask) {
  bool found = false;
  for (int l = 0; l < lanes<M>; ++l) found |= mask[l] != 0;
  return found;
}",
    ),
    ("sqrt_lanes", &["lanes"], "lanes:sqrt"),
    ("floor_lanes", &["lanes"], "lanes:floor"),
    ("ceil_lanes", &["lanes"], "lanes:ceil"),
    ("trunc_lanes", &["lanes"], "lanes:trunc"),
    ("nearbyint_lanes", &["lanes"], "lanes:nearbyint"),
    ("fabs_lanes", &["lanes"], "lanes:fabs"),
    (
        "copysign_lanes",
        &["lanes"],
        "template <class V> INLINE V copysign_lanes(V a, V sign) {
  for (int l = 0; l < lanes<V>; ++l) a[l] = std::copysign(a[l], sign[l]);
  return a;
}",
    ),
    (
        "abs_of",
        &[],
        "// The smallest integer stays itself.
template <class T> INLINE T abs_of(T a) {
  return a < 0 ? T(0 - uint64_t(a)) : a;
}",
    ),
    (
        "abs_lanes",
        &[],
        "template <class V> INLINE V abs_lanes(V a) {
  return a < 0 ? -a : a;
}",
    ),
    (
        "floor_div",
        &[],
        "// Rounded down.
INLINE int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}",
    ),
    (
        "floor_mod",
        &["floor_div"],
        "// With the sign of the divisor.
INLINE int64_t floor_mod(int64_t a, int64_t b) {
  return a - b * floor_div(a, b);
}",
    ),
    (
        "smaller",
        &[],
        "INLINE int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}",
    ),
    (
        "larger",
        &[],
        "INLINE int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}",
    ),
    (
        "take",
        &[],
        "// The next array in the thread's scratch, 64-byte aligned.
template <class T> INLINE T *take(char *&scratch, int64_t elements) {
  T *const array = reinterpret_cast<T *>(scratch);
  scratch += (elements * int64_t(sizeof(T)) + 63) / 64 * 64;
  return array;
}",
    ),
];

/// Does the prelude define functions of this name?
pub(super) fn is_helper(name: &str) -> bool {
    let halves = [
        "bf16_to_f32",
        "f32_to_bf16",
        "f16_to_f32",
        "f32_to_f16",
        "dot_bf16",
        "scale",
    ];
    name.starts_with("to_") || halves.contains(&name) || TEMPLATES.iter().any(|row| row.0 == name)
}

/// Collects what the kernels use.
#[derive(Debug, Default)]
pub(super) struct Prelude {
    types: BTreeSet<CType>,
    templates: BTreeSet<&'static str>,
    /// Helpers written for given types, by name and type, with the order in which they came.
    typed: BTreeMap<String, usize>,
    texts: Vec<String>,
    uses_intrinsics: bool,
}

impl Prelude {
    /// A vector type's name, which is declared then.
    pub fn name(&mut self, ty: CType) -> String {
        if ty.is_vector() {
            self.types.insert(ty);
        }
        ty.name()
    }

    /// A template by name.
    pub fn template(&mut self, name: &'static str) -> &'static str {
        if matches!(name, "stream" | "fence") {
            self.uses_intrinsics = true;
        }
        if self.templates.insert(name) {
            let row = TEMPLATES.iter().find(|row| row.0 == name);
            for needed in row.map_or(&[][..], |row| row.1) {
                self.template(needed);
            }
        }
        name
    }

    /// The name of the helper that converts to another lane type: `to_f32`.
    pub fn conversion(&mut self, from: CType, to: Lane) -> String {
        let name = format!("to_{}", to.short());
        let key = format!("{name} {}", from.name());
        if from.lane == to || self.typed.contains_key(&key) {
            return name;
        }
        let (source, goal) = (self.name(from), self.name(from.with(to)));
        let head = format!("INLINE {goal} {name}({source} x)");
        let text = match step_between(from.lane, to) {
            Some(step) => {
                let first = self.conversion(from, step);
                let second = self.conversion(from.with(step), to);
                format!("{head} {{\n  return {second}({first}(x));\n}}")
            }
            None if from.lane.is_float() && !to.is_float() => self.float_to_int(&head, from, to),
            None if from.is_vector() => {
                format!("{head} {{\n  return __builtin_convertvector(x, {goal});\n}}")
            }
            None => format!("{head} {{\n  return {goal}(x);\n}}"),
        };
        self.add(key, text);
        name
    }

    /// Towards zero; what does not fit, and NaN, give the smallest integer.
    fn float_to_int(&mut self, head: &str, from: CType, to: Lane) -> String {
        let bits = 8 * to.size() - 1;
        let (limit, float) = match from.lane {
            Lane::F32 => (format!("{:?}f", 2f64.powi(bits as i32)), "0.0f"),
            _ => (format!("{:?}", 2f64.powi(bits as i32)), "0.0"),
        };
        let smallest = format!("INT{}_MIN", bits + 1);
        if !from.is_vector() {
            let goal = to.scalar_name();
            return format!(
                "// Towards zero; NaN and what does not fit give the smallest integer.
{head} {{
  return x >= -{limit} && x < {limit} ? {goal}(x) : {smallest};
}}"
            );
        }
        let mask = from.with(Lane::signed(from.lane.size()));
        let (mask_name, goal, source) =
            (self.name(mask), self.name(from.with(to)), self.name(from));
        let splat = self.template("splat");
        let narrowed = match mask.lane == to {
            true => "inside".to_string(),
            false => format!("{}(inside)", self.conversion(mask, to)),
        };
        format!(
            "// Towards zero; NaN and what does not fit give the smallest integer.
{head} {{
  const {mask_name} inside = (x >= -{limit}) & (x < {limit});
  const {source} safe = inside ? x : {splat}<{source}>({float});
  return {narrowed} ? __builtin_convertvector(safe, {goal}) : {splat}<{goal}>({smallest});
}}"
        )
    }

    /// The name of a helper between half precision and `float`.
    pub fn half(&mut self, name: &'static str, lanes: u32) -> &'static str {
        let key = format!("{name} {lanes}");
        if !self.typed.contains_key(&key) {
            let text = self.half_text(name, lanes);
            self.add(key, text);
        }
        name
    }

    fn half_text(&mut self, name: &str, lanes: u32) -> String {
        let ty = |lane| CType::new(lane, lanes);
        let (half, float, word) = (ty(Lane::U16), ty(Lane::F32), ty(Lane::U32));
        let body = match name {
            "bf16_to_f32" => BF16_TO_F32,
            "f32_to_bf16" => F32_TO_BF16,
            "f16_to_f32" => F16_TO_F32,
            _ => F32_TO_F16,
        };
        let scalar = lanes == 1;
        let widen = self.conversion(half, Lane::U32);
        let narrow = self.conversion(word, Lane::U16);
        let cast = |prelude: &mut Prelude, to: CType| {
            if scalar {
                format!("{}<{}>", prelude.template("bits_as"), to.name())
            } else {
                format!("({})", prelude.name(to))
            }
        };
        let (as_float, as_word) = (cast(self, float), cast(self, word));
        body.replace("FLOAT_OF", &as_float)
            .replace("WORD_OF", &as_word)
            .replace("FLOAT", &self.name(float))
            .replace("WORD", &self.name(word))
            .replace("HALF", &self.name(half))
            .replace("WIDEN", &widen)
            .replace("NARROW", &narrow)
    }

    /// The helper around the AVX512_BF16 instruction for 4, 8 or 16 lanes.
    pub fn dot_bf16(&mut self, lanes: u32) -> &'static str {
        let key = format!("dot_bf16 {lanes}");
        if !self.typed.contains_key(&key) {
            self.uses_intrinsics = true;
            let bits = 32 * lanes;
            let prefix = if bits == 128 {
                String::new()
            } else {
                bits.to_string()
            };
            let (acc, pairs) = (
                CType::new(Lane::F32, lanes),
                CType::new(Lane::U16, 2 * lanes),
            );
            let (acc, pairs) = (self.name(acc), self.name(pairs));
            let text = format!(
                "// acc + a * b over pairs of bf16, by the instruction.
INLINE {acc} dot_bf16({acc} acc, {pairs} a, {pairs} b) {{
  return ({acc})_mm{prefix}_dpbf16_ps((__m{bits})acc, (__m{bits}bh)a, (__m{bits}bh)b);
}}"
            );
            self.add(key, text);
        }
        "dot_bf16"
    }

    /// The helper around the AVX-512 instruction that multiplies by a power of two. Vectors that
    /// are no register are done lane by lane.
    pub fn scale(&mut self, ty: CType) -> &'static str {
        let key = format!("scale {ty:?}");
        if self.typed.contains_key(&key) {
            return "scale";
        }
        self.uses_intrinsics = true;
        let (suffix, kind) = if ty.lane == Lane::F64 {
            ("d", "d")
        } else {
            ("s", "")
        };
        let name = self.name(ty);
        let bits = 8 * ty.lane.size() * ty.lanes;
        let body = match bits {
            _ if !ty.is_vector() => format!(
                "return _mm_cvts{suffix}_f{w}(_mm_scalef_s{suffix}(_mm_set_s{suffix}(a), _mm_set_s{suffix}(b)));",
                w = 8 * ty.lane.size()
            ),
            128 | 256 | 512 => {
                let prefix = if bits == 128 {
                    String::new()
                } else {
                    bits.to_string()
                };
                let register = format!("__m{bits}{kind}");
                format!(
                    "return ({name})_mm{prefix}_scalef_p{suffix}(({register})a, ({register})b);"
                )
            }
            _ => {
                self.scale(CType::new(ty.lane, 1));
                format!(
                    "for (int l = 0; l < {}; ++l) a[l] = scale(a[l], b[l]);\n  return a;",
                    ty.lanes
                )
            }
        };
        let text = format!(
            "// a times 2 to the power of b rounded down, by the instruction.
INLINE {name} scale({name} a, {name} b) {{
  {body}
}}"
        );
        self.add(key, text);
        "scale"
    }

    fn add(&mut self, key: String, text: String) {
        self.typed.insert(key, self.texts.len());
        self.texts.push(text);
    }

    /// Everything, ready to stand above the kernels.
    pub fn print(&self) -> String {
        let mut text = String::from("#include <cmath>\n#include <cstdint>\n#include <cstring>\n");
        if self.templates.contains("Element") {
            text.push_str("#include <type_traits>\n");
        }
        if self.uses_intrinsics {
            text.push_str("#ifdef __x86_64__\n#include <immintrin.h>\n#endif\n");
        }
        text.push_str("\n#define INLINE static inline __attribute__((always_inline))\n\n");
        for ty in &self.types {
            text.push_str(&ty.declaration());
        }
        if !self.types.is_empty() {
            text.push('\n');
        }
        let mut printed = BTreeSet::new();
        for (name, _, _) in TEMPLATES {
            self.print_template(name, &mut printed, &mut text);
        }
        for helper in &self.texts {
            let _ = write!(text, "{helper}\n\n");
        }
        text
    }

    /// Prints what a template needs before it.
    fn print_template(
        &self,
        name: &'static str,
        printed: &mut BTreeSet<&'static str>,
        text: &mut String,
    ) {
        let Some(row) = TEMPLATES.iter().find(|row| row.0 == name) else {
            return;
        };
        if !self.templates.contains(name) || !printed.insert(name) {
            return;
        }
        for needed in row.1 {
            self.print_template(needed, printed, text);
        }
        let body = match row.2.strip_prefix("lanes:") {
            Some(function) => format!(
                "template <class V> INLINE V {name}(V a) {{
  for (int l = 0; l < lanes<V>; ++l) a[l] = std::{function}(a[l]);
  return a;
}}"
            ),
            None => row.2.to_string(),
        };
        let _ = write!(text, "{body}\n\n");
    }
}

/// The type between two, where one conversion would not do: floats reach narrow integers by way
/// of `int32_t`, and GCC converts vectors well only by a factor of two in width.
fn step_between(from: Lane, to: Lane) -> Option<Lane> {
    let (wide, narrow) = (from.size().max(to.size()), from.size().min(to.size()));
    if from.is_float() && !to.is_float() && to.promotes() {
        return Some(Lane::I32);
    }
    if wide <= 2 * narrow {
        return None;
    }
    if to.is_float() || to.size() > from.size() {
        return Some(Lane::signed(2 * from.size()));
    }
    Some(Lane::signed(from.size() / 2))
}

const BF16_TO_F32: &str = "INLINE FLOAT bf16_to_f32(HALF x) {
  return FLOAT_OF(WIDEN(x) << 16);
}";

const F32_TO_BF16: &str = "// To nearest even; a NaN stays a quiet NaN.
INLINE HALF f32_to_bf16(FLOAT x) {
  const WORD bits = WORD_OF(x);
  const WORD rounded = bits + 0x7fff + ((bits >> 16) & 1);
  const WORD quiet = bits | 0x400000;
  return NARROW((x == x ? rounded : quiet) >> 16);
}";

const F16_TO_F32: &str = "INLINE FLOAT f16_to_f32(HALF x) {
  const WORD half = WIDEN(x);
  const WORD magnitude = half & 0x7fff;
  const WORD shifted = magnitude << 13;
  const WORD normal = shifted + 0x38000000u;
  // The fraction of a number one exponent up, less that number's leading one.
  const WORD subnormal = WORD_OF(FLOAT_OF(shifted + 0x38800000u) - 6.103515625e-05f);
  const WORD special = (shifted + 0x70000000u) | (magnitude > 0x7c00 ? WORD{} + 0x400000u : WORD{});
  const WORD finite = magnitude < 0x400 ? subnormal : normal;
  return FLOAT_OF((magnitude >= 0x7c00 ? special : finite) | ((half & 0x8000) << 16));
}";

const F32_TO_F16: &str = "// To nearest even; a NaN stays a quiet NaN.
INLINE HALF f32_to_f16(FLOAT x) {
  const WORD bits = WORD_OF(x);
  const WORD magnitude = bits & 0x7fffffff;
  const WORD normal = (magnitude - 0x38000000u + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  // Adding one half leaves the subnormal's bits, rounded to nearest even, in the fraction.
  const WORD subnormal = WORD_OF(FLOAT_OF(magnitude) + 0.5f) - 0x3f000000u;
  const WORD quiet = ((magnitude >> 13) & 0x3ff) | 0x7e00;
  const WORD finite = magnitude < 0x38800000u ? subnormal : normal;
  const WORD large = magnitude > 0x7f800000u ? quiet : WORD{} + 0x7c00u;
  return NARROW((magnitude >= 0x47800000u ? large : finite) | ((bits >> 16) & 0x8000));
}";
