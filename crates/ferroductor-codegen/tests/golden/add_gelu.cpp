// Printed by Ferroductor. These options are part of the meaning:
//   c++ -O3 -std=c++17 -ffp-contract=off -fwrapv -fno-strict-aliasing -fno-math-errno -fno-trapping-math -Wno-psabi -fPIC -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mprefer-vector-width=512 -mfma -mf16c

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#define INLINE static inline __attribute__((always_inline))

typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef float f32x16 __attribute__((vector_size(64)));

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

// The second where either is NaN or both are zeros.
template <class T> INLINE T minnum(T a, T b) {
  return a < b ? a : b;
}

// The second where either is NaN or both are zeros.
template <class T> INLINE T maxnum(T a, T b) {
  return a > b ? a : b;
}

// a * b + c, rounded once.
template <class V> INLINE V fma_lanes(V a, V b, V c) {
  for (int l = 0; l < lanes<V>; ++l) a[l] = std::fma(a[l], b[l], c[l]);
  return a;
}

INLINE u32x16 to_u32(u16x16 x) {
  return __builtin_convertvector(x, u32x16);
}

INLINE u16x16 to_u16(u32x16 x) {
  return __builtin_convertvector(x, u16x16);
}

INLINE f32x16 bf16_to_f32(u16x16 x) {
  return (f32x16)(to_u32(x) << 16);
}

// To nearest even; a NaN stays a quiet NaN.
INLINE u16x16 f32_to_bf16(f32x16 x) {
  const u32x16 bits = (u32x16)(x);
  const u32x16 rounded = bits + 0x7fff + ((bits >> 16) & 1);
  const u32x16 quiet = bits | 0x400000;
  return to_u16((x == x ? rounded : quiet) >> 16);
}

// at most 2.5 ulp
INLINE f32x16 tanh_f32x16(f32x16 x) {
  const f32x16 maxnum_4 = maxnum(minnum(x, splat<f32x16>(9.0f)), splat<f32x16>(-9.0f));
  const f32x16 mul_5 = maxnum_4 * maxnum_4;
  return maxnum_4 * (mul_5 + 27.0f) / (mul_5 * 9.0f + 27.0f);
}

// aten.add.Tensor(x, bias)
// aten.gelu.default (tanh), bf16 in and out
extern "C" uint32_t add_gelu(void *const *pointers, const int64_t * /*sizes*/,
    void * /*scratch*/, int64_t begin, int64_t end) {
  const uint16_t *__restrict x = static_cast<const uint16_t *>(pointers[0]);
  const float *__restrict bias = static_cast<const float *>(pointers[1]);
  uint16_t *__restrict out = static_cast<uint16_t *>(pointers[2]);
  for (int64_t i0 = begin; i0 < end; ++i0) {
    // one row
    for (int64_t i1 = 0; i1 < 3072; i1 += 16) {
      const f32x16 add_3 = bf16_to_f32(load<u16x16>(&x[i0 * 3072 + i1])) + load<f32x16>(&bias[i1]);
      const f32x16 tanh_10 = tanh_f32x16(fma_lanes(add_3 * add_3 * add_3, splat<f32x16>(0.044715f), add_3) * 0.7978846f);
      store(&out[i0 * 3072 + i1], f32_to_bf16(add_3 * 0.5f * (tanh_10 + 1.0f)));
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

extern "C" uint32_t add_gelu_run(void *const *pointers, const int64_t *sizes) {
  const int64_t s0 = sizes[0];
  return run_tiles(add_gelu, pointers, sizes, s0, 0);
}
#endif
