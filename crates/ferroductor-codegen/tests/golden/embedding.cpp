// Printed by Ferroductor. These options are part of the meaning:
//   c++ -O3 -std=c++17 -ffp-contract=off -fwrapv -fno-strict-aliasing -fno-math-errno -fno-trapping-math -Wno-psabi -fPIC -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mprefer-vector-width=512 -mfma -mf16c

#include <cmath>
#include <cstdint>
#include <cstring>

#define INLINE static inline __attribute__((always_inline))

typedef float f32x4 __attribute__((vector_size(16)));

// A vector in memory, aligned as its elements are.
template <class V> struct __attribute__((packed, may_alias)) Unaligned { V value; };

template <class V> INLINE V load(const void *at) {
  return static_cast<const Unaligned<V> *>(at)->value;
}

template <class V> INLINE void store(void *at, V value) {
  static_cast<Unaligned<V> *>(at)->value = value;
}

// aten.embedding.default(weight, indices)
extern "C" uint32_t embedding(void *const *pointers, const int64_t *sizes,
    void * /*scratch*/, int64_t begin, int64_t end) {
  const int64_t s1 = sizes[1];
  const float *__restrict weight = static_cast<const float *>(pointers[0]);
  const int64_t *__restrict indices = static_cast<const int64_t *>(pointers[1]);
  float *__restrict out = static_cast<float *>(pointers[2]);
  for (int64_t i0 = begin; i0 < end; ++i0) {
    const int64_t indices_0 = indices[i0];
    const int64_t chosen_5 = indices_0 < 0 ? indices_0 + s1 : indices_0;
    if ((chosen_5 < 0) || (chosen_5 >= s1)) return 1;
    for (int64_t i1 = 0; i1 < 768; i1 += 4) {
      store(&out[i0 * 768 + i1], load<f32x4>(&weight[chosen_5 * 768 + i1]));
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

extern "C" uint32_t embedding_run(void *const *pointers, const int64_t *sizes) {
  const int64_t s0 = sizes[0];
  return run_tiles(embedding, pointers, sizes, s0, 0);
}
#endif
