// One token's attention in bf16 with the bits of torch's scaled_dot_product_attention on a CPU
// with AVX-512 (its flash attention, over its own products), which takes a tenth of the memory's
// speed. Keys [kv_heads, slots, size] and values likewise; sums in fp32.
//
// 512 keys are taken together. A score is a sum in four lanes. Probabilities are rounded to bf16;
// their sum, of SUMS vectors in turn, is not: two in torch 2.13, one in torch 2.11. Of the weighted
// values four at a time make a sum that is added to the mix; the last ones, less than four, are
// added one by one from the end.

#include "common.h"

#ifdef __AVX512F__

namespace {

constexpr long TOGETHER = 512;

Four widened_four(const bf16 *from) {
  return (Four)_mm_slli_epi32(_mm_cvtepu16_epi32(_mm_loadl_epi64((const __m128i *)from)), 16);
}

// e to the x: its bits are a linear function of x, less a polynomial in the fraction of x's
// base-2 logarithm (Malossi et al. 2015, Fast Exponential Computation on SIMD Architectures; the
// coefficients are those of ATen's vectors, fexp_u20).
Floats exponential(Floats x) {
  constexpr float LOWEST = -87.3365478515625f, LOG2_E = 1.44269502162933349609375f;
  constexpr float TERMS[] = {-0.079204240219773236f, -0.22433836478672356f, 0.30354260500649682f,
                             0.00010703434948458272f};
  const __mmask16 vanishes = _mm512_cmp_ps_mask((__m512)x, (__m512)all(LOWEST), _CMP_LT_OS);
  const Floats power = x * LOG2_E;
  const Floats fraction = power - (Floats)_mm512_floor_ps((__m512)power);
  Floats less = all(TERMS[0]);
  for (int i = 1; i < 4; i++) less = fused(fraction, less, all(TERMS[i]));
  const Floats bits = fused(all(1 << 23), power - less, all(127.0f * (1 << 23)));
  return (Floats)_mm512_mask_mov_epi32(_mm512_cvttps_epi32((__m512)bits), vanishes,
                                       _mm512_setzero_si512());
}

// Scores of `count` keys [count, size]; returns the largest.
float score(const float *query, const bf16 *keys, float *scores, long count, long size,
            float scale) {
  float most = -INFINITY;
  for (long t = 0; t < count; t++) {
    Four sum = {};
    for (long i = 0; i < size; i += 4)
      sum += widened_four(keys + t * size + i) * load<Four>(query + i);
    scores[t] = ((sum[0] + sum[2]) + (sum[1] + sum[3])) * scale;
    most = std::fmax(most, scores[t]);
  }
  return most;
}

// Scores become probabilities times their sum, which is returned.
template <long SUMS> float weigh(float *scores, long count, float most) {
  const long whole = count / LANES * LANES;
  Floats sums[SUMS] = {};
  for (long t = 0; t < whole; t += LANES) {
    const Floats weights = exponential(load<Floats>(scores + t) - most);
    sums[t / LANES % SUMS] += weights;
    memcpy(scores + t, &weights, sizeof weights);
  }
  for (long i = 1; i < SUMS; i++) sums[0] += sums[i];
  float sum = total(sums[0]);
  for (long t = whole; t < count; t++) sum += scores[t] = std::exp(scores[t] - most);
  for (long t = 0; t < count; t++) scores[t] = kept<bf16>(scores[t]);
  return sum;
}

void mix(const float *weights, const bf16 *values, float *to, long count, long size) {
  const long whole = count / 4 * 4;
  for (long i = 0; i < size; i += LANES) {
    Floats sum = load<Floats>(to + i);
    auto part = [&](long t) { return widened(values + t * size + i) * weights[t]; };
    for (long t = 0; t < whole; t += 4)
      sum += (part(t) + part(t + 2)) + (part(t + 1) + part(t + 3));
    for (long t = count - 1; t >= whole; t--) sum += part(t);
    memcpy(to + i, &sum, sizeof sum);
  }
}

// As attend_bf16: turns, keeps and mixes one token's states.
template <long SUMS>
void attend(const bf16 *turnable, const bf16 *fresh, const bf16 *cos, const bf16 *sin, bf16 *keys,
            bf16 *values, bf16 *out, long heads, long kv_heads, long size, long slots,
            long position, float scale, int threads) {
  auto one = [&](const float *query, const bf16 *key, const bf16 *value, bf16 *to) {
    std::vector<float> mixed(size);
    float scores[TOGETHER], most = -INFINITY, sum = 0;
    for (long start = 0; start <= position; start += TOGETHER) {
      const long left = position + 1 - start, count = left < TOGETHER ? left : TOGETHER;
      const float before = most;
      most = std::fmax(most, score(query, key + start * size, scores, count, size, scale));
      const float part = weigh<SUMS>(scores, count, most), factor = std::exp(before - most);
      sum = std::fma(factor, sum, part);
      if (start)
        for (long i = 0; i < size; i++) mixed[i] *= factor;
      mix(scores, value + start * size, mixed.data(), count, size);
    }
    const float reciprocal = 1 / sum;
    for (long i = 0; i < size; i++) to[i] = rounded(mixed[i] * reciprocal);
  };
  over_heads(turnable, fresh, cos, sin, keys, values, out, heads, kv_heads, size, slots, position,
             threads, one);
}

}  // namespace

#define ATTEND(SUMS)                                                                              \
  extern "C" void exact_attend_bf16_##SUMS(                                                       \
      const bf16 *turnable, const bf16 *fresh, const bf16 *cos, const bf16 *sin, bf16 *keys,      \
      bf16 *values, bf16 *out, long heads, long kv_heads, long size, long slots, long position,   \
      float scale, int threads) {                                                                 \
    attend<SUMS>(turnable, fresh, cos, sin, keys, values, out, heads, kv_heads, size, slots,      \
                 position, scale, threads);                                                       \
  }                                                                                               \
  extern "C" float exact_weigh_##SUMS(float *scores, long count) {                                \
    return weigh<SUMS>(scores, count, 0);                                                         \
  }
ATTEND(1)
ATTEND(2)

#endif
