// Printed by Ferroductor. These options are part of the meaning:
//   c++ -O3 -std=c++17 -ffp-contract=off -fwrapv -fno-strict-aliasing -fno-math-errno -fno-trapping-math -Wno-psabi -fPIC -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mprefer-vector-width=512 -mfma -mf16c

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#define INLINE static inline __attribute__((always_inline))

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

// a * b + c, rounded once.
template <class V> INLINE V fma_lanes(V a, V b, V c) {
  for (int l = 0; l < lanes<V>; ++l) a[l] = std::fma(a[l], b[l], c[l]);
  return a;
}

// aten.addmm.default: a tile of 2 rows by 32 columns
extern "C" uint32_t matmul_tile(void *const *pointers, const int64_t * /*sizes*/,
    void * /*scratch*/, int64_t begin, int64_t end) {
  const float *__restrict a = static_cast<const float *>(pointers[0]);
  const float *__restrict b = static_cast<const float *>(pointers[1]);
  const float *__restrict bias = static_cast<const float *>(pointers[2]);
  float *__restrict c = static_cast<float *>(pointers[3]);
  for (int64_t i0 = begin; i0 < end; ++i0) {
    const f32x16 bias_0 = load<f32x16>(&bias[(i0 % 24) * 32]);
    const f32x16 bias_1 = load<f32x16>(&bias[(i0 % 24) * 32 + 16]);
    f32x16 acc0 = bias_0;
    f32x16 acc1 = bias_1;
    f32x16 acc2 = bias_0;
    f32x16 acc3 = bias_1;
    for (int64_t i1 = 0; i1 < 512; ++i1) {
      const f32x16 b_2 = load<f32x16>(&b[i1 * 768 + (i0 % 24) * 32]);
      const f32x16 b_3 = load<f32x16>(&b[i1 * 768 + (i0 % 24) * 32 + 16]);
      const f32x16 all_5 = splat<f32x16>(a[(i0 / 24) * 1024 + i1]);
      acc0 = fma_lanes(all_5, b_2, acc0);
      acc1 = fma_lanes(all_5, b_3, acc1);
      const f32x16 all_11 = splat<f32x16>(a[(i0 / 24) * 1024 + i1 + 512]);
      acc2 = fma_lanes(all_11, b_2, acc2);
      acc3 = fma_lanes(all_11, b_3, acc3);
    }
    store(&c[(i0 / 24) * 1536 + (i0 % 24) * 32], acc0);
    store(&c[(i0 / 24) * 1536 + (i0 % 24) * 32 + 16], acc1);
    store(&c[(i0 / 24) * 1536 + (i0 % 24) * 32 + 768], acc2);
    store(&c[(i0 / 24) * 1536 + (i0 % 24) * 32 + 784], acc3);
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

extern "C" uint32_t matmul_tile_run(void *const *pointers, const int64_t *sizes) {
  return run_tiles(matmul_tile, pointers, sizes, 48, 0);
}
#endif
