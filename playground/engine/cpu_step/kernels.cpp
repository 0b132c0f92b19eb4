// The kernels of one decode step: GEMV on the stored weights, RMSNorm, rotary embedding, attention.
//
// Weights [rows, columns] are row-major; columns are a multiple of 32. Sums are in fp32, in
// the fastest order. Vectors use the notation of GCC and Clang and compile for any width;
// the compiler contracts `a += b * c` into fused multiply-adds where the processor has them.

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
typedef uint32_t Words __attribute__((vector_size(64)));
constexpr long LANES = 16, BLOCK = 32;

template <class T> T load(const void *from) {
  T value;
  memcpy(&value, from, sizeof value);
  return value;
}

float total(Floats value) {
#ifdef __AVX512F__
  return _mm512_reduce_add_ps((__m512)value);
#endif
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

// A value rounded to T, as fp32.
template <class T> float rounded_to(float value) { return value; }
template <> float rounded_to<bf16>(float value) { return wide(rounded(value)); }
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

// Rotary embedding; `sin` carries the sign of rotate_half.
template <class T> void rotate(const T *x, const T *cos, const T *sin, T *to, long size) {
  for (long i = 0; i < size; i++) {
    const float other = wide(x[i < size / 2 ? i + size / 2 : i - size / 2]);
    store(to + i, rounded_to<T>(wide(x[i]) * wide(cos[i])) + rounded_to<T>(other * wide(sin[i])));
  }
}

// RMSNorm as in transformers: normalized in fp32, rounded, then weighted.
template <class T>
void normalize(const T *x, const T *weight, T *y, long columns, float epsilon) {
  Floats squares = {};
  for (long i = 0; i < columns; i += LANES) {
    const Floats part = widened(x + i);
    squares += part * part;
  }
  const float factor = 1 / std::sqrt(total(squares) / columns + epsilon);
  for (long i = 0; i < columns; i++)
    store(y + i, rounded_to<T>(wide(x[i]) * factor) * wide(weight[i]));
}

// Attention of one query [size] over a head's keys and values [tokens, size].
template <class T>
void mix(const float *query, const T *key, const T *value, T *out, long tokens, long size,
         float scale) {
  std::vector<float> weights(tokens);
  float most = -INFINITY, sum = 0;
  for (long t = 0; t < tokens; t++) {
    Floats dot = {};
    for (long i = 0; i < size; i += LANES)
      dot += widened(key + t * size + i) * load<Floats>(query + i);
    weights[t] = total(dot) * scale;
    most = std::fmax(most, weights[t]);
  }
  for (long t = 0; t < tokens; t++) sum += weights[t] = std::exp(weights[t] - most);
  for (long i = 0; i < size; i += LANES) {
    Floats mixed = {};
    for (long t = 0; t < tokens; t++) mixed += widened(value + t * size + i) * weights[t];
    mixed /= sum;
    for (long l = 0; l < LANES; l++) store(out + i + l, mixed[l]);
  }
}

// Rotates queries and keys [heads + kv_heads, size], writes the keys and the new values
// [kv_heads, size] into the cache [kv_heads, slots, size] at `position`, and writes the attention
// of all heads to `out` [heads, size].
template <class T>
void attend(const T *queries_keys, const T *new_values, const T *cos, const T *sin, T *keys,
            T *values, T *out, long heads, long kv_heads, long size, long slots, long position,
            float scale, int threads) {
  const long group = heads / kv_heads;
  const bool parallel = (position + 1) * heads * size > 1 << 16;
#pragma omp parallel for schedule(static) num_threads(threads) if (parallel)
  for (long kv = 0; kv < kv_heads; kv++) {
    T *key = keys + kv * slots * size, *value = values + kv * slots * size;
    rotate(queries_keys + (heads + kv) * size, cos, sin, key + position * size, size);
    memcpy(value + position * size, new_values + kv * size, size * sizeof(T));
    std::vector<T> query(size);
    std::vector<float> wide_query(size);
    for (long head = kv * group; head < (kv + 1) * group; head++) {
      rotate(queries_keys + head * size, cos, sin, query.data(), size);
      for (long i = 0; i < size; i++) wide_query[i] = wide(query[i]);
      mix(wide_query.data(), key, value, out + head * size, position + 1, size, scale);
    }
  }
}

// The input in fp32. With `apart`, each block has its even elements first, then the odd ones.
const float *widened(const bf16 *x, long columns, bool apart) {
  static thread_local std::vector<float> buffer;
  buffer.resize(columns);
  float *to = buffer.data();
  for (long i = 0; i < columns; i += BLOCK)
    for (long j = 0; j < BLOCK; j++)
      to[i + (apart ? j % 2 * LANES + j / 2 : j)] = wide(x[i + j]);
  return to;
}

}  // namespace

#define PARALLEL _Pragma("omp parallel for schedule(static) num_threads(threads)")
#define FLOAT_KERNELS(T, NAME)                                                                   \
  extern "C" void normalize_##NAME(const T *x, const T *weight, T *y, long columns,              \
                                   float epsilon) {                                              \
    normalize(x, weight, y, columns, epsilon);                                                   \
  }                                                                                              \
  extern "C" void attend_##NAME(const T *queries_keys, const T *new_values, const T *cos,        \
                                const T *sin, T *keys, T *values, T *out, long heads,            \
                                long kv_heads, long size, long slots, long position,             \
                                float scale, int threads) {                                      \
    attend(queries_keys, new_values, cos, sin, keys, values, out, heads, kv_heads, size, slots,  \
           position, scale, threads);                                                            \
  }
FLOAT_KERNELS(float, fp32)
FLOAT_KERNELS(bf16, bf16)

extern "C" void multiply_fp32(const float *weight, const float *bias, const float *x, float *y,
                              long rows, long columns, int threads) {
  PARALLEL for (long row = 0; row < rows; row++) {
    const float *from = weight + row * columns;
    Floats a = {}, b = {};
    for (long i = 0; i < columns; i += BLOCK) {
      a += load<Floats>(from + i) * load<Floats>(x + i);
      b += load<Floats>(from + i + LANES) * load<Floats>(x + i + LANES);
    }
    y[row] = total(a + b) + (bias ? bias[row] : 0);
  }
}

extern "C" void multiply_bf16(const bf16 *weight, const bf16 *bias, const bf16 *x, bf16 *y,
                              long rows, long columns, int threads) {
#ifndef __AVX512BF16__
  const float *apart = widened(x, columns, true);
#endif
  PARALLEL for (long row = 0; row < rows; row++) {
    const bf16 *from = weight + row * columns;
    Floats a = {}, b = {};
#ifdef __AVX512BF16__
    auto add = [&](Floats sum, long i) {
      return (Floats)_mm512_dpbf16_ps((__m512)sum, load<__m512bh>(from + i), load<__m512bh>(x + i));
    };
    for (long i = 0; i < columns; i += 2 * BLOCK) {
      a = add(a, i);
      if (i + BLOCK < columns) b = add(b, i + BLOCK);
    }
#else
    for (long i = 0; i < columns; i += BLOCK) {
      Words pairs = load<Words>(from + i);
      a += (Floats)(pairs << 16) * load<Floats>(apart + i);
      b += (Floats)(pairs & 0xffff0000u) * load<Floats>(apart + i + LANES);
    }
#endif
    y[row] = rounded(total(a + b) + (bias ? wide(bias[row]) : 0));
  }
}

extern "C" void multiply_int8(const int8_t *weight, const bf16 *scale, const bf16 *x, bf16 *y,
                              long rows, long columns, int threads) {
  const float *wide_x = widened(x, columns, false);
  PARALLEL for (long row = 0; row < rows; row++) {
    const int8_t *from = weight + row * columns;
    Floats a = {}, b = {};
    for (long i = 0; i < columns; i += BLOCK) {
      a += widened(from + i) * load<Floats>(wide_x + i);
      b += widened(from + i + LANES) * load<Floats>(wide_x + i + LANES);
    }
    y[row] = rounded(total(a + b) * wide(scale[row]));
  }
}

#ifdef __AVX512BW__

// The weight as torch packs it for AVX-512: [rows / 64, columns, 32], a byte with row r in its
// low half and row r + 32 in its high half. Scales and zeros [columns / group, rows, 2].
// A weight is (q - 8) * scale + zero; the scale is applied once a group.
extern "C" void multiply_int4(const uint8_t *weight, const bf16 *scales_and_zeros, const bf16 *x,
                              bf16 *y, long rows, long columns, long group, int threads) {
  const float *wide_x = widened(x, columns, false);
  std::vector<float> sums(columns / group);
  for (long i = 0; i < columns; i++) sums[i / group] += wide_x[i];
#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
  // Two columns at a time: each 32-bit lane takes the bytes of one row from both, twice.
  alignas(64) uint8_t first[64], second[64];
  alignas(64) bf16 values[32];
  for (int i = 0; i < 64; i++) {
    first[i] = i / 4 + (i & 2) * 16;
    second[i] = first[i] + 16;
  }
  // The index has five bits, of which four are the code: the table repeats.
  for (int i = 0; i < 32; i++) values[i] = rounded(i % 16 - 8);
  const __m512i pick_first = _mm512_load_si512(first), pick_second = _mm512_load_si512(second);
  const __m512i table = _mm512_load_si512(values);
  auto pairs = [&](__m512i quarters) {
    return (__m512bh)_mm512_permutexvar_epi16(quarters, table);
  };
#else
  alignas(64) float values[16];
  for (int i = 0; i < 16; i++) values[i] = i - 8;
  const __m512 table = _mm512_load_ps(values);
#endif
  PARALLEL for (long block = 0; block < rows / 64; block++) {
    const uint8_t *from = weight + block * columns * 32;
    Floats out[4] = {};
    for (long start = 0; start < columns; start += group) {
      __m512 sum[4] = {};
#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
      for (long i = start; i < start + group; i += 2, from += 64) {
        __m512bh both = (__m512bh)_mm512_set1_epi32(load<int32_t>(x + i));
        __m512i bytes = _mm512_loadu_si512(from);
        __m512i a = _mm512_permutexvar_epi8(pick_first, bytes);
        __m512i b = _mm512_permutexvar_epi8(pick_second, bytes);
        sum[0] = _mm512_dpbf16_ps(sum[0], pairs(a), both);
        sum[1] = _mm512_dpbf16_ps(sum[1], pairs(b), both);
        sum[2] = _mm512_dpbf16_ps(sum[2], pairs(_mm512_srli_epi16(a, 4)), both);
        sum[3] = _mm512_dpbf16_ps(sum[3], pairs(_mm512_srli_epi16(b, 4)), both);
      }
#else
      for (long i = start; i < start + group; i++, from += 32) {
        __m512 one = _mm512_set1_ps(wide_x[i]);
        __m512i a = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)from));
        __m512i b = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(from + 16)));
        sum[0] = _mm512_fmadd_ps(_mm512_permutexvar_ps(a, table), one, sum[0]);
        sum[1] = _mm512_fmadd_ps(_mm512_permutexvar_ps(b, table), one, sum[1]);
        a = _mm512_srli_epi32(a, 4);
        b = _mm512_srli_epi32(b, 4);
        sum[2] = _mm512_fmadd_ps(_mm512_permutexvar_ps(a, table), one, sum[2]);
        sum[3] = _mm512_fmadd_ps(_mm512_permutexvar_ps(b, table), one, sum[3]);
      }
#endif
      const bf16 *scale = scales_and_zeros + (start / group * rows + block * 64) * 2;
      for (long i = 0; i < 4; i++) {
        Words both = load<Words>(scale + i * BLOCK);
        out[i] += (Floats)sum[i] * (Floats)(both << 16) +
                  (Floats)(both & 0xffff0000u) * sums[start / group];
      }
    }
    for (long i = 0; i < 64; i++) y[block * 64 + i] = rounded(out[i / LANES][i % LANES]);
  }
}

#endif
