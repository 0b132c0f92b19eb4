// The arithmetic of one token's step in the order in which torch's libraries add, so that every
// bit of the results is theirs; read at the memory's speed, which they do not reach.
//
// Each order was found by giving the library sums in which only what was added before a certain
// term is lost (FPRev, Xie et al. 2025, arXiv:2411.00442). A library may choose another one on
// another processor or in another release: the caller compares before it uses these.
//
// Weights [rows, columns] lie row after row. Where rows are taken in blocks, whose bytes follow
// each other, what comes AHEAD bytes later is fetched meanwhile: the processor by itself does not
// see one stream in so many rows.

#include "common.h"

namespace {

constexpr long AHEAD = 32 << 10;

void fetch(const void *block, long offset, long bytes) {
  const char *from = (const char *)block + offset + AHEAD;
  for (long i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 2);
}

// The squares' sum as torch.sum has it: eight lanes, four sums of each in turn, of which every
// 16 terms go to a next level.
template <class T> float sum_of_squares(const T *x, long columns) {
  constexpr long LEVELS = 4, STEP = 16, LANES_THERE = 8;
  const long steps = columns / BLOCK;
  Floats sums[LEVELS][2] = {};
  auto add = [&](long step) {
    for (long half = 0; half < 2; half++) {
      Floats part = widened(x + step * BLOCK + half * LANES);
      sums[0][half] += part * part;
    }
  };
  long done = 0;
  while (done + STEP <= steps) {
    for (const long end = done + STEP; done < end; done++) add(done);
    for (long level = 1; level < LEVELS; level++) {
      for (long half = 0; half < 2; half++) {
        sums[level][half] += sums[level - 1][half];
        sums[level - 1][half] = Floats{};
      }
      if (done / STEP >> 4 * (level - 1) & (STEP - 1)) break;
    }
  }
  for (; done < steps; done++) add(done);
  for (long level = 1; level < LEVELS; level++)
    for (long half = 0; half < 2; half++) sums[0][half] += sums[level][half];
  float part[2 * LANES], all = 0;
  memcpy(part, sums[0], sizeof part);
  for (long four = 1; four < 4; four++)
    for (long lane = 0; lane < LANES_THERE; lane++) part[lane] += part[four * LANES_THERE + lane];
  for (long lane = 0; lane < LANES_THERE; lane++) all = lane ? all + part[lane] : part[lane];
  return all;
}

// RMSNorm: normalized in fp32, rounded, then weighted. Columns are a multiple of 32.
template <class T>
void normalize(const T *x, const T *weight, T *y, long columns, float epsilon) {
  const float factor = 1 / std::sqrt(sum_of_squares(x, columns) / columns + epsilon);
  for (long i = 0; i < columns; i++)
    store(y + i, kept<T>(wide(x[i]) * factor) * wide(weight[i]));
}

// Turns queries and keys [heads + kv_heads, size]; queries go to `out`, keys and the new values
// [kv_heads, size] into the cache [kv_heads, slots, size] at `position`.
template <class T>
void keep(const T *turnable, const T *fresh, const T *cos, const T *sin, T *keys, T *values,
          T *out, long heads, long kv_heads, long size, long slots, long position) {
  for (long head = 0; head < heads; head++)
    turn(turnable + head * size, cos, sin, out + head * size, size);
  for (long kv = 0; kv < kv_heads; kv++) {
    const long at = (kv * slots + position) * size;
    turn(turnable + (heads + kv) * size, cos, sin, keys + at, size);
    memcpy(values + at, fresh + kv * size, size * sizeof(T));
  }
}

}  // namespace

#define BETWEEN(T, NAME)                                                                         \
  extern "C" void normalize_##NAME(const T *x, const T *weight, T *y, long columns,              \
                                   float epsilon) {                                              \
    normalize(x, weight, y, columns, epsilon);                                                   \
  }                                                                                              \
  extern "C" void keep_##NAME(const T *turnable, const T *fresh, const T *cos, const T *sin,     \
                              T *keys, T *values, T *out, long heads, long kv_heads, long size,  \
                              long slots, long position) {                                       \
    keep(turnable, fresh, cos, sin, keys, values, out, heads, kv_heads, size, slots, position);  \
  }
BETWEEN(float, fp32)
BETWEEN(bf16, bf16)

// MKL's sgemv for a processor that is not Intel's: four lanes without fused products, the first
// four terms one after the other. Rows are a multiple of 4; those taken together lie far apart, so
// that the processor sees as many long streams, and fetches them by itself.
extern "C" void exact_fp32(const float *weight, const float *bias, const float *x, float *y,
                           long rows, long columns, int threads) {
  constexpr long ROWS = 4, WIDTH = 4;
  const long apart = rows / ROWS;
  PARALLEL for (long block = 0; block < apart; block++) {
    const float *from = weight + block * columns;
    Four sums[ROWS];
    for (long row = 0; row < ROWS; row++) {
      const float *terms = from + row * apart * columns;
      float first = terms[0] * x[0];
      for (long i = 1; i < WIDTH; i++) first += terms[i] * x[i];
      sums[row] = Four{first, 0, 0, 0};
    }
    for (long i = WIDTH; i < columns; i += WIDTH) {
      const Four value = load<Four>(x + i);
      for (long row = 0; row < ROWS; row++)
        sums[row] += load<Four>(from + row * apart * columns + i) * value;
    }
    for (long row = 0; row < ROWS; row++) {
      const Four sum = sums[row];
      const long at = row * apart + block;
      y[at] = (sum[0] + sum[2]) + (sum[1] + sum[3]) + (bias ? bias[at] : 0);
    }
  }
}

// torch._weight_int8pack_mm: sixteen lanes, each weight scaled first. Rows are a multiple of 4.
extern "C" void exact_int8(const int8_t *weight, const bf16 *scale, const bf16 *x, bf16 *y,
                           long rows, long columns, int threads) {
  constexpr long ROWS = 4;
  std::vector<float> wide_x(columns);
  for (long i = 0; i < columns; i++) wide_x[i] = wide(x[i]);
  PARALLEL for (long block = 0; block < rows / ROWS; block++) {
    const int8_t *from = weight + block * ROWS * columns;
    Floats sums[ROWS] = {};
    for (long i = 0; i < columns; i += LANES) {
      fetch(from, ROWS * i, ROWS * LANES);
      const Floats value = load<Floats>(&wide_x[i]);
      for (long row = 0; row < ROWS; row++)
        sums[row] = fused(value, widened(from + row * columns + i) * wide(scale[block * ROWS + row]),
                          sums[row]);
    }
    for (long row = 0; row < ROWS; row++) y[block * ROWS + row] = rounded(total(sums[row]));
  }
}

#ifdef __AVX512BF16__

namespace {

// Sixteen pairs each of sixteen rows become sixteen rows each of sixteen pairs.
void transpose(__m512i (&rows)[16]) {
  __m512i other[16];
  for (int i = 0; i < 16; i += 2) {
    other[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    other[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; j++) {
      rows[i + 2 * j] = _mm512_unpacklo_epi64(other[i + j], other[i + j + 2]);
      rows[i + 2 * j + 1] = _mm512_unpackhi_epi64(other[i + j], other[i + j + 2]);
    }
  // Now rows[4 * i + j] holds, in its quarter q, pair 4 * q + j of the rows 4 * i to 4 * i + 3.
  for (int j = 0; j < 4; j++) {
    const __m512i even = _mm512_shuffle_i32x4(rows[j], rows[4 + j], 0x88);
    const __m512i odd = _mm512_shuffle_i32x4(rows[j], rows[4 + j], 0xdd);
    const __m512i more_even = _mm512_shuffle_i32x4(rows[8 + j], rows[12 + j], 0x88);
    const __m512i more_odd = _mm512_shuffle_i32x4(rows[8 + j], rows[12 + j], 0xdd);
    other[j] = _mm512_shuffle_i32x4(even, more_even, 0x88);
    other[4 + j] = _mm512_shuffle_i32x4(odd, more_odd, 0x88);
    other[8 + j] = _mm512_shuffle_i32x4(even, more_even, 0xdd);
    other[12 + j] = _mm512_shuffle_i32x4(odd, more_odd, 0xdd);
  }
  for (int i = 0; i < 16; i++) rows[i] = other[i];
}

}  // namespace

// oneDNN's matmul of one row: a result a lane, pairs of columns one after the other, sums of 512
// columns added. Rows are a multiple of 16.
extern "C" void exact_bf16(const bf16 *weight, const bf16 *bias, const bf16 *x, bf16 *y, long rows,
                           long columns, int threads) {
  constexpr long ROWS = 16, TOGETHER = 512;
  PARALLEL for (long block = 0; block < rows / ROWS; block++) {
    const bf16 *from = weight + block * ROWS * columns;
    Floats sum = {};
    for (long start = 0; start < columns; start += TOGETHER) {
      const long end = start + TOGETHER < columns ? start + TOGETHER : columns;
      __m512 part = {};
      for (long i = start; i < end; i += BLOCK) {
        fetch(from, ROWS * i * sizeof(bf16), ROWS * BLOCK * sizeof(bf16));
        __m512i pairs[ROWS];
        for (long row = 0; row < ROWS; row++)
          pairs[row] = _mm512_loadu_si512(from + row * columns + i);
        transpose(pairs);
        for (long j = 0; j < ROWS; j++)
          part = _mm512_dpbf16_ps(part, (__m512bh)pairs[j],
                                  (__m512bh)_mm512_set1_epi32(load<int32_t>(x + i + 2 * j)));
      }
      sum = start ? sum + (Floats)part : (Floats)part;
    }
    for (long row = 0; row < ROWS; row++) {
      const long at = block * ROWS + row;
      y[at] = rounded(sum[row] + (bias ? wide(bias[at]) : 0));
    }
  }
}

#endif
