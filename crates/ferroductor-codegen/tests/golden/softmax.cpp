// Printed by Ferroductor. These options are part of the meaning:
//   c++ -O3 -std=c++17 -ffp-contract=off -fwrapv -fno-strict-aliasing -fno-math-errno -fno-trapping-math -Wno-psabi -fPIC -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mprefer-vector-width=512 -mfma -mf16c

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#define INLINE static inline __attribute__((always_inline))

typedef int8_t i8x8 __attribute__((vector_size(8)));
typedef int16_t i16x8 __attribute__((vector_size(16)));
typedef int32_t i32x8 __attribute__((vector_size(32)));
typedef uint8_t u8x8 __attribute__((vector_size(8)));
typedef float f32x4 __attribute__((vector_size(16)));
typedef float f32x8 __attribute__((vector_size(32)));

// A vector in memory, aligned as its elements are.
template <class V> struct __attribute__((packed, may_alias)) Unaligned { V value; };

template <class V> INLINE V load(const void *at) {
  return static_cast<const Unaligned<V> *>(at)->value;
}

template <class V> INLINE void store(void *at, V value) {
  static_cast<Unaligned<V> *>(at)->value = value;
}

template <class V> constexpr int lanes = sizeof(V) / sizeof(V{}[0]);

template <class V> using Element = std::remove_reference_t<decltype(V{}[0])>;

// The value in every lane.
template <class V> INLINE V splat(Element<V> value) {
  return value - V{};
}

// Lanes of a, then of b, picked by number.
template <class R, int... L, class V> INLINE R shuffle(V a, V b) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, L...);
#else
  R result{};
  int at = 0;
  ((result[at++] = L < lanes<V> ? a[L % lanes<V>] : b[L % lanes<V>]), ...);
  return result;
#endif
}

// The same bits as another type.
template <class To, class From> INLINE To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

// The second where either is NaN or both are zeros.
template <class T> INLINE T maxnum(T a, T b) {
  return a > b ? a : b;
}

template <class V> INLINE V nearbyint_lanes(V a) {
  for (int l = 0; l < lanes<V>; ++l) a[l] = std::nearbyint(a[l]);
  return a;
}

// The next array in the thread's scratch, 64-byte aligned.
template <class T> INLINE T *take(char *&scratch, int64_t elements) {
  T *const array = reinterpret_cast<T *>(scratch);
  scratch += (elements * int64_t(sizeof(T)) + 63) / 64 * 64;
  return array;
}

// Towards zero; NaN and what does not fit give the smallest integer.
INLINE i32x8 to_i32(f32x8 x) {
  const i32x8 inside = (x >= -2147483648.0f) & (x < 2147483648.0f);
  const f32x8 safe = inside ? x : splat<f32x8>(0.0f);
  return inside ? __builtin_convertvector(safe, i32x8) : splat<i32x8>(INT32_MIN);
}

// Towards zero; NaN and what does not fit give the smallest integer.
INLINE int32_t to_i32(float x) {
  return x >= -2147483648.0f && x < 2147483648.0f ? int32_t(x) : INT32_MIN;
}

INLINE i16x8 to_i16(i8x8 x) {
  return __builtin_convertvector(x, i16x8);
}

INLINE i32x8 to_i32(i16x8 x) {
  return __builtin_convertvector(x, i32x8);
}

INLINE i32x8 to_i32(i8x8 x) {
  return to_i32(to_i16(x));
}

// rough
INLINE f32x8 exp_f32x8(f32x8 x) {
  return (f32x8)((to_i32(nearbyint_lanes(x * 1.442695f)) + 127) << 23);
}

// rough
INLINE float exp_f32(float x) {
  return bits_as<float>((to_i32(std::nearbyint(x * 1.442695f)) + 127) << 23);
}

// aten.where.self(mask, x, -inf)
// aten._softmax.default(dim=-1)
extern "C" uint32_t softmax(void *const *pointers, const int64_t *sizes,
    void *scratch, int64_t begin, int64_t end) {
  const int64_t s1 = sizes[1];
  const float *__restrict x = static_cast<const float *>(pointers[0]);
  const uint8_t *__restrict mask = static_cast<const uint8_t *>(pointers[1]);
  float *__restrict y = static_cast<float *>(pointers[2]);
  char *free = static_cast<char *>(scratch);
  float *__restrict row = take<float>(free, s1);
  for (int64_t i0 = begin; i0 < end; ++i0) {
    f32x8 acc0 = splat<f32x8>(-INFINITY);
    for (int64_t i1 = 0; i1 < (s1 / 8) * 8; i1 += 8) {
      const f32x8 chosen_3 = to_i32((i8x8)(load<u8x8>(&mask[i1]) != 0)) ? load<f32x8>(&x[i0 * s1 + i1]) : splat<f32x8>(-INFINITY);
      store(&row[i1], chosen_3);
      acc0 = maxnum(chosen_3, acc0);
    }
    const f32x8 old_6 = acc0;
    const f32x4 maxnum_9 = maxnum(shuffle<f32x4, 4, 5, 6, 7>(old_6, old_6), shuffle<f32x4, 0, 1, 2, 3>(old_6, old_6));
    float acc1 = maxnum(maxnum(maxnum_9[0], maxnum_9[1]), maxnum(maxnum_9[2], maxnum_9[3]));
    for (int64_t i1 = (s1 / 8) * 8; i1 < s1; ++i1) {
      const float chosen_20 = mask[i1] != 0 ? x[i0 * s1 + i1] : -INFINITY;
      row[i1] = chosen_20;
      acc1 = maxnum(chosen_20, acc1);
    }
    const float old_23 = acc1;
    const f32x8 all_24 = splat<f32x8>(old_23);
    for (int64_t i1 = 0; i1 < (s1 / 8) * 8; i1 += 8) {
      store(&y[i0 * s1 + i1], exp_f32x8(load<f32x8>(&row[i1]) - all_24));
    }
    for (int64_t i1 = (s1 / 8) * 8; i1 < s1; ++i1) {
      y[i0 * s1 + i1] = exp_f32(row[i1] - old_23);
    }
  }
  return 0;
}

#ifdef _OPENMP
#include <cstdlib>
#include <omp.h>

typedef uint32_t Kernel(void *const *, const int64_t *, void *, int64_t, int64_t);

static inline int64_t padded(int64_t bytes) {
  return (bytes + 63) / 64 * 64;
}

// Runs every tile on OpenMP's threads. Gives 0, or the code of a failed check.
static uint32_t run_tiles(Kernel *kernel, void *const *pointers, const int64_t *sizes, int64_t tiles,
    int64_t scratch_bytes) {
  const int64_t chunks = omp_get_max_threads();
  uint32_t failed = 0;
#pragma omp parallel for schedule(static) reduction(max : failed)
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    void *const scratch = scratch_bytes > 0 ? std::aligned_alloc(64, scratch_bytes) : nullptr;
    const int64_t begin = tiles * chunk / chunks, end = tiles * (chunk + 1) / chunks;
    const bool has_memory = scratch_bytes <= 0 || scratch != nullptr;
    const uint32_t code = has_memory ? kernel(pointers, sizes, scratch, begin, end) : UINT32_MAX;
    failed = code > failed ? code : failed;
    std::free(scratch);
  }
  return failed;
}

extern "C" uint32_t softmax_run(void *const *pointers, const int64_t *sizes) {
  const int64_t s0 = sizes[0];
  const int64_t s1 = sizes[1];
  return run_tiles(softmax, pointers, sizes, s0, padded(s1 * 4));
}
#endif
