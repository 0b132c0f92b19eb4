// What the native sources share: vectors, bf16, the rotary embedding and the way over heads.
//
// Vectors are written in the notation of GCC and Clang: they compile for any width. Products and
// sums are not contracted by the compiler (-ffp-contract=off): where one rounding is meant,
// `fused` says so.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace {

using bf16 = uint16_t;
typedef float Floats __attribute__((vector_size(64)));
typedef float Four __attribute__((vector_size(16)));
typedef uint32_t Words __attribute__((vector_size(64)));
constexpr long LANES = 16, BLOCK = 32;

template <class T> T load(const void *from) {
  T value;
  memcpy(&value, from, sizeof value);
  return value;
}

float total(Floats value) {
  float part[LANES];
  memcpy(part, &value, sizeof part);
  for (long half = LANES / 2; half; half /= 2)
    for (long i = 0; i < half; i++) part[i] += part[i + half];
  return part[0];
}

float wide(bf16 value) {
  uint32_t bits = uint32_t(value) << 16;
  return load<float>(&bits);
}

bf16 rounded(float value) {
  uint32_t bits = load<uint32_t>(&value);
  if (value != value) return 0x7fc0;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// A value as it is kept in T, back in fp32.
template <class T> float kept(float value) { return value; }
template <> float kept<bf16>(float value) { return wide(rounded(value)); }
void store(float *to, float value) { *to = value; }
void store(bf16 *to, float value) { *to = rounded(value); }
float wide(float value) { return value; }

Floats widened(const int8_t *from) {
#ifdef __AVX512F__
  return (Floats)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from)));
#else
  Floats value;
  for (long i = 0; i < LANES; i++) value[i] = from[i];
  return value;
#endif
}

Floats widened(const float *from) { return load<Floats>(from); }

Floats widened(const bf16 *from) {
#ifdef __AVX512F__
  return (Floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from)), 16);
#else
  Floats value;
  for (long i = 0; i < LANES; i++) value[i] = wide(from[i]);
  return value;
#endif
}

// Rotary embedding; the sign of the turned half lies in `sin`.
template <class T> void turn(const T *x, const T *cos, const T *sin, T *to, long size) {
  for (long i = 0; i < size; i++) {
    const float other = wide(x[i < size / 2 ? i + size / 2 : i - size / 2]);
    store(to + i, kept<T>(wide(x[i]) * wide(cos[i])) + kept<T>(other * wide(sin[i])));
  }
}

// a * b + c, rounded once where the processor does that.
Floats fused(Floats a, Floats b, Floats c) {
#ifdef __AVX512F__
  return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
  return a * b + c;
#endif
}

Floats all(float value) { return Floats{} + value; }

// Turns queries and keys [heads + kv_heads, size], puts the keys and the new values
// [kv_heads, size] into the cache [kv_heads, slots, size] at `position`, and lets `mix` make of
// each query, in fp32, and of its head's keys and values what comes to `out` [heads, size].
template <class T, class Mix>
void over_heads(const T *turnable, const T *fresh, const T *cos, const T *sin, T *keys, T *values,
                T *out, long heads, long kv_heads, long size, long slots, long position,
                int threads, const Mix &mix) {
  const long group = heads / kv_heads;
  const bool worth = (position + 1) * heads * size > 1 << 16;
#pragma omp parallel for schedule(static) num_threads(threads) if (worth)
  for (long kv = 0; kv < kv_heads; kv++) {
    T *key = keys + kv * slots * size, *value = values + kv * slots * size;
    turn(turnable + (heads + kv) * size, cos, sin, key + position * size, size);
    memcpy(value + position * size, fresh + kv * size, size * sizeof(T));
    std::vector<T> query(size);
    std::vector<float> wide_query(size);
    for (long head = kv * group; head < (kv + 1) * group; head++) {
      turn(turnable + head * size, cos, sin, query.data(), size);
      for (long i = 0; i < size; i++) wide_query[i] = wide(query[i]);
      mix(wide_query.data(), key, value, out + head * size);
    }
  }
}

}  // namespace

#define PARALLEL _Pragma("omp parallel for schedule(static) num_threads(threads)")
