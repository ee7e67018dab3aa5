// Means and variances of instances. Included once for each instruction set.
#pragma once

#include "walk.h"

namespace {

// Means, and sums of the squared deviations from them, of kCount instances.
template <int64_t kCount>
struct Moments {
  double mean[kCount], squares[kCount];
};

// One pass around a guess of the mean; a second one around its result where the guess was off by so much, 1.7 standard
// deviations, that it cost digits.
constexpr double kTooFar = 0.75;

// Around the given guesses; returns whether all were good enough.
template <typename T, int64_t kCount>
BINORM_INLINE bool moments_around(
    const T* x, int64_t stride, int64_t count, const Scalar<T>* guess, Moments<kCount>& moments) {
  using V = Vector<T>;
  Scalar<T> sums[kCount], squares[kCount];
  two_sums<T, kCount>(
      0, stride, count, sums, squares, [&](int64_t j) { return broadcast<T>(guess[j]); },
      [&](V centre, int64_t i, Integers<T> fresh, int64_t, V& sum, V& square) __attribute__((always_inline)) {
        const V u = only<T>(fresh, load<T>(x + i) - centre);
        sum += u;
        square += u * u;
      });
  const double share = 1.0 / count;
  int64_t far = 0;
  for (int64_t j = 0; j < kCount; ++j) {
    const double sum = sums[j], square = squares[j], shift = sum * share, excess = sum * shift;
    moments.mean[j] = guess[j] + shift;
    moments.squares[j] = square > excess ? square - excess : square - square;
    far += excess > kTooFar * square;
  }
  return far == 0;
}

// Of `count` values of each of kCount instances, `stride` apart. An instance's bits are the same for any kCount.
template <typename T, int64_t kCount>
BINORM_INLINE Moments<kCount> moments_of(const T* x, int64_t stride, int64_t count) {
  constexpr int64_t width = kLanes<T>;
  Moments<kCount> moments;
  if (count < width) {
    for (int64_t j = 0; j < kCount; ++j, x += stride) {
      double mean = 0, squares = 0;
      for (int64_t i = 0; i < count; ++i) mean += load_one<T>(x + i);
      mean /= count;
      for (int64_t i = 0; i < count; ++i) squares += (load_one<T>(x + i) - mean) * (load_one<T>(x + i) - mean);
      moments.mean[j] = mean, moments.squares[j] = squares;
    }
    return moments;
  }
  const int64_t last = count - width;
  Vector<T> samples[kCount];
  Scalar<T> guess[kCount];
  for (int64_t j = 0; j < kCount; ++j) {
    const T* of = x + j * stride;
    samples[j] = (load<T>(of) + load<T>(of + last / 3)) + (load<T>(of + 2 * (last / 3)) + load<T>(of + last));
  }
  sums_of_lanes<T, kCount>(samples, guess);
  for (int64_t j = 0; j < kCount; ++j) guess[j] *= Scalar<T>(0.25 / width);
  if (moments_around<T, kCount>(x, stride, count, guess, moments)) return moments;
  for (int64_t j = 0; j < kCount; ++j) {
    Moments<1> one;
    if (moments_around<T, 1>(x + j * stride, stride, count, guess + j, one)) continue;
    const Scalar<T> better = one.mean[0];
    moments_around<T, 1>(x + j * stride, stride, count, &better, one);
    moments.mean[j] = one.mean[0], moments.squares[j] = one.squares[0];
  }
  return moments;
}

template <typename T>
BINORM_INLINE void keep_moments(const Problem<T>& p, int64_t instance, double mean, double squares) {
  using A = Scalar<T>;
  p.instance_mean[instance] = A(mean);
  p.mean_rest[instance] = A(mean - double(A(mean)));
  p.instance_var[instance] = A(squares * p.one_over_space);
}

// Of kCount adjacent instances; long ones are merged from chunks.
template <typename T, int64_t kCount>
void instance_moments(const Problem<T>& p, int64_t instance) {
  const T* x = p.input + instance * p.space;
  Moments<kCount> total = moments_of<T, kCount>(x, p.space, least(p.space, kChunk));
  for (int64_t start = kChunk; start < p.space; start += kChunk) {
    const int64_t count = least(p.space - start, kChunk);
    const Moments<kCount> more = moments_of<T, kCount>(x + start, p.space, count);
    const double share = double(count) / (start + count);
    for (int64_t j = 0; j < kCount; ++j) {
      const double apart = more.mean[j] - total.mean[j];
      total.mean[j] += apart * share;
      total.squares[j] += more.squares[j] + apart * apart * (start * share);
    }
  }
  for (int64_t j = 0; j < kCount; ++j) keep_moments(p, instance + j, total.mean[j], total.squares[j]);
}

template <typename T, int64_t kRegisters>
struct Sums {
  Vector<T> centre[kRegisters], sums[kRegisters], squares[kRegisters];
};

// The same for the channels of a panel; guesses come from rows all over the sample.
template <typename T>
void panel_moments(const Problem<T>& p, const Tile<true>& tile) {
  using A = Scalar<T>;
  constexpr int64_t guesses = 8;
  const T* input = p.input;
  A centre[kPanel], chunk_sum[kPanel], chunk_square[kPanel];
  double sum[kPanel], square[kPanel];  // of all chunks, where there are several
  const bool one_chunk = tile.space <= kChunkRows;
  for (int64_t c = 0; c < tile.channels; ++c) centre[c] = 0;
  for (int64_t i = 0; i < guesses; ++i) {
    const T* row = p.input + tile.first + (tile.space - 1) * i / (guesses - 1) * tile.stride;
    for (int64_t c = 0; c < tile.channels; ++c) centre[c] += load_one<T>(row + c) * A(1.0 / guesses);
  }
  const auto clear = [&](auto* a, auto* b) {
    for (int64_t c = 0; c < tile.channels; ++c) a[c] = b[c] = 0;
  };
  // Returns whether all guesses were good enough; moves those that were not, and no others: a channel's bits must not
  // depend on which channels share its panel.
  const auto check = [&](const auto* sum, const auto* square) {
    int64_t off = 0;
    for (int64_t c = 0; c < tile.channels; ++c) {
      const bool moves = sum[c] * sum[c] > A(kTooFar) * square[c] * tile.space;
      centre[c] += moves ? A(sum[c] * p.one_over_space) : A(0);
      off += moves;
    }
    return off == 0;
  };
  const auto keep = [&](const auto* sum, const auto* square) {
    for (int64_t c = 0; c < tile.channels; ++c) {
      const double shift = sum[c] * p.one_over_space, squares = square[c] - sum[c] * shift;
      keep_moments(p, tile.instance + c, centre[c] + shift, squares < 0 ? 0 : squares);
    }
  };
  for (bool again = false;; again = true) {
    clear(chunk_sum, chunk_square);
    if (!one_chunk) clear(sum, square);
    walk<T, kRowsAtOnce>(
        tile,
        [&](auto block) {
          Sums<T, block.registers> state;
          for (int64_t k = 0; k < block.registers; ++k) {
            state.centre[k] = block.coefficient(centre, k);
            state.sums[k] = block.coefficient(chunk_sum, k);
            state.squares[k] = block.coefficient(chunk_square, k);
          }
          return state;
        },
        [&](auto& state, int64_t i, int64_t k, int64_t some) __attribute__((always_inline)) {
          const Vector<T> u = load_up_to<T>(input + i, some) - state.centre[k];
          state.sums[k] += u;
          state.squares[k] += u * u;
        },
        [&](auto block, auto& state) {
          for (int64_t k = 0; k < block.registers; ++k) {
            block.keep(chunk_sum, k, state.sums[k]);
            block.keep(chunk_square, k, state.squares[k]);
          }
        },
        [&] {
          if (one_chunk) return;
          for (int64_t c = 0; c < tile.channels; ++c) sum[c] += chunk_sum[c], square[c] += chunk_square[c];
          clear(chunk_sum, chunk_square);
        },
        [&](int64_t i) __attribute__((always_inline)) { __builtin_prefetch(input + i); });
    const bool good = one_chunk ? check(chunk_sum, chunk_square) : check(sum, square);
    if (good || again) break;
  }
  one_chunk ? keep(chunk_sum, chunk_square) : keep(sum, square);
}

template <typename T>
void moments(const Problem<T>& p, int64_t n, int64_t begin, int64_t end) {
  if (p.channels_last)
    for_panels<T>(p, n, begin, end, [&](const Tile<true>& tile) { panel_moments<T>(p, tile); });
  else
    for_groups<T>(begin, end, [&]<int64_t kCount>(int64_t c) { instance_moments<T, kCount>(p, n * p.channels + c); });
}

}  // namespace
