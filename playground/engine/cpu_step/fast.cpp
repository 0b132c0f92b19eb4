// The arithmetic of one token's step: products with weights as they are stored, read at the
// memory's speed, and what lies between the products.
//
// Weights [rows, columns] lie row after row; columns are a multiple of 32. Sums are kept in fp32,
// in whatever order is fastest.

#include "common.h"

namespace {

// As fp32: of each block first the elements of even index, then the odd ones, if `apart`.
const float *widened(const bf16 *x, long columns, bool apart) {
  static thread_local std::vector<float> kept;
  kept.resize(columns);
  float *to = kept.data();
  for (long i = 0; i < columns; i += BLOCK)
    for (long j = 0; j < BLOCK; j++)
      to[i + (apart ? j % 2 * LANES + j / 2 : j)] = wide(x[i + j]);
  return to;
}

// Attention as over_heads has it.
template <class T>
void attend(const T *turnable, const T *fresh, const T *cos, const T *sin, T *keys, T *values,
            T *out, long heads, long kv_heads, long size, long slots, long position, float scale,
            int threads) {
  const long tokens = position + 1;
  auto one = [&](const float *query, const T *key, const T *value, T *to) {
    std::vector<float> weights(tokens);
    float most = -INFINITY, sum = 0;
    for (long t = 0; t < tokens; t++) {
      Floats dot = {};
      for (long i = 0; i < size; i += LANES)
        dot = fused(widened(key + t * size + i), load<Floats>(query + i), dot);
      weights[t] = total(dot) * scale;
      most = std::fmax(most, weights[t]);
    }
    for (long t = 0; t < tokens; t++) sum += weights[t] = std::exp(weights[t] - most);
    for (long i = 0; i < size; i += LANES) {
      Floats mixed = {};
      for (long t = 0; t < tokens; t++)
        mixed = fused(widened(value + t * size + i), all(weights[t]), mixed);
      mixed /= sum;
      for (long l = 0; l < LANES; l++) store(to + i + l, mixed[l]);
    }
  };
  over_heads(turnable, fresh, cos, sin, keys, values, out, heads, kv_heads, size, slots, position,
             threads, one);
}

}  // namespace

#define ATTEND(T, NAME)                                                                          \
  extern "C" void attend_##NAME(const T *turnable, const T *fresh, const T *cos, const T *sin,   \
                                T *keys, T *values, T *out, long heads, long kv_heads,           \
                                long size, long slots, long position, float scale,               \
                                int threads) {                                                   \
    attend(turnable, fresh, cos, sin, keys, values, out, heads, kv_heads, size, slots, position, \
           scale, threads);                                                                      \
  }
ATTEND(float, fp32)
ATTEND(bf16, bf16)

extern "C" void multiply_fp32(const float *weight, const float *bias, const float *x, float *y,
                              long rows, long columns, int threads) {
  PARALLEL for (long row = 0; row < rows; row++) {
    const float *from = weight + row * columns;
    Floats a = {}, b = {};
    for (long i = 0; i < columns; i += BLOCK) {
      a = fused(load<Floats>(from + i), load<Floats>(x + i), a);
      b = fused(load<Floats>(from + i + LANES), load<Floats>(x + i + LANES), b);
    }
    y[row] = total(a + b) + (bias ? bias[row] : 0);
  }
}

extern "C" void multiply_bf16(const bf16 *weight, const bf16 *bias, const bf16 *x, bf16 *y,
                              long rows, long columns, int threads) {
  const float *apart = widened(x, columns, true);
  PARALLEL for (long row = 0; row < rows; row++) {
    const bf16 *from = weight + row * columns;
    Floats a = {}, b = {};
    for (long i = 0; i < columns; i += BLOCK) {
      Words pairs = load<Words>(from + i);
      a = fused((Floats)(pairs << 16), load<Floats>(apart + i), a);
      b = fused((Floats)(pairs & 0xffff0000u), load<Floats>(apart + i + LANES), b);
    }
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
      a = fused(widened(from + i), load<Floats>(wide_x + i), a);
      b = fused(widened(from + i + LANES), load<Floats>(wide_x + i + LANES), b);
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
  // The index has five bits, of which the upper one is not ours.
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
