// Means and variances of instances. Included once for each instruction set.
#pragma once

#include "walk.h"

namespace {

struct Moments {
  double count = 0, mean = 0, squares = 0;  // squares: of the deviations from the mean

  BINORM_INLINE void merge(const Moments& other) {
    const double delta = other.mean - mean, total = count + other.count;
    mean += delta * (other.count / total);
    squares += other.squares + delta * delta * (count * other.count / total);
    count = total;
  }
};

// One pass around a guess of the mean; a second one around its result where the guess was off by so much, 1.7 standard
// deviations, that it cost digits.
constexpr double kTooFar = 0.75;

template <typename T>
BINORM_INLINE Moments chunk_moments(const T* x, int64_t count) {
  using V = Vector<T>;
  constexpr int64_t width = kLanes<T>;
  const double share = 1.0 / count;
  if (count < width) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < count; ++i) mean += load_one<T>(x + i);
    mean *= share;
    for (int64_t i = 0; i < count; ++i) squares += (load_one<T>(x + i) - mean) * (load_one<T>(x + i) - mean);
    return {double(count), mean, squares};
  }
  const int64_t last = count - width;
  const V sample = (load<T>(x) + load<T>(x + last / 3)) + (load<T>(x + 2 * (last / 3)) + load<T>(x + last));
  Scalar<T> guess = sum_of_lanes<width>(sample) * Scalar<T>(0.25 / width);
  for (bool again = false;; again = true) {
    V sums[4] = {}, squares[4] = {};
    const V centre = broadcast<T>(guess);
    for_registers<T, 4>(count, [&](int64_t i, Integers<T> fresh, int64_t k) __attribute__((always_inline)) {
      const V u = only<T>(fresh, load<T>(x + i) - centre);
      sums[k] += u;
      squares[k] += u * u;
    });
    const double sum = sum_of_four<T>(sums), square = sum_of_four<T>(squares);
    const double shift = sum * share, excess = sum * shift;
    if (again || !(excess > kTooFar * square))
      return {double(count), guess + shift, square > excess ? square - excess : square - square};
    guess = Scalar<T>(guess + shift);
  }
}

template <typename T>
BINORM_INLINE void keep_moments(const Problem<T>& p, int64_t instance, double mean, double squares) {
  using A = Scalar<T>;
  p.instance_mean[instance] = A(mean);
  p.mean_rest[instance] = A(mean - double(A(mean)));
  p.instance_var[instance] = A(squares * p.one_over_space);
}

template <typename T>
void instance_moments(const Problem<T>& p, const Tile<false>& tile) {
  const T* x = p.input + tile.first;
  Moments total = chunk_moments<T>(x, least(tile.space, kChunk));
  for (int64_t i = kChunk; i < tile.space; i += kChunk)
    total.merge(chunk_moments<T>(x + i, least(tile.space - i, kChunk)));
  keep_moments(p, tile.instance, total.mean, total.squares);
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
    walk<T>(
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
        [&](auto& state, int64_t i, int64_t k, Integers<T>, int64_t some) __attribute__((always_inline)) {
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
        });
    const bool good = one_chunk ? check(chunk_sum, chunk_square) : check(sum, square);
    if (good || again) break;
  }
  one_chunk ? keep(chunk_sum, chunk_square) : keep(sum, square);
}

template <typename T>
void moments(const Problem<T>& p, int64_t n, int64_t begin, int64_t end) {
  for_tiles<T>(p, n, begin, end, [&](auto tile) {
    if constexpr (tile.channels_last)
      panel_moments<T>(p, tile);
    else
      instance_moments<T>(p, tile);
  });
}

}  // namespace
