// The six passes. Included once for each instruction set.
#pragma once

#include "activation.h"
#include "vector.h"

namespace {

using binorm::KernelSet;
using binorm::Kernels;
using binorm::Problem;

template <typename A, typename B>
BINORM_INLINE A least(A a, B b) {
  return a < A(b) ? a : A(b);
}

// Partial sums stay in the arithmetic's own precision for this many values of an instance, then go on in double.
constexpr int64_t kChunk = 2048;     // contiguous
constexpr int64_t kChunkRows = 128;  // channels last: a row is the channels at one place
// Channels last: this many registers of a row are worked on at once; coefficients and sums stay in them from row to row
// where no more are needed. Panels are as wide as the closest cache holds the coefficients and sums of.
constexpr int64_t kBlock = kRegisterBytes == 64 ? 4 : 2;
constexpr int64_t kPanel = 2048;
constexpr int64_t kChannelsAtOnce = 64;  // coefficients

// ---- walking over memory

// Calls f(i, fresh) for registers at i that cover [0, count): `fresh` marks lanes not covered before. The last register
// overlaps the one before it; fewer values than a register has are the business of `for_few`.
template <typename T, int64_t kUnroll, typename F>
BINORM_INLINE void for_registers(int64_t count, F f) {
  constexpr int64_t width = kLanes<T>;
  const Integers<T> all = Integers<T>{} - 1;
  int64_t i = 0;
  for (; i + kUnroll * width <= count; i += kUnroll * width)
    for (int64_t k = 0; k < kUnroll; ++k) f(i + k * width, all, k);
  for (; i + width <= count; i += width) f(i, all, 0);
  if (i < count) f(count - width, lane_numbers<T>() >= typename Arithmetic<T>::Integer(width - (count - i)), 0);
}

template <typename T>
BINORM_INLINE Vector<T> only(Integers<T> lanes, Vector<T> vector) {
  return (Vector<T>)(lanes & (Integers<T>)vector);
}

// Memory access of `count` values, a whole register where count is kWhole.
constexpr int64_t kWhole = -1;

template <typename T>
BINORM_INLINE Vector<T> load_up_to(const T* from, int64_t count) {
  return count == kWhole ? load<T>(from) : load_some<T>(from, count);
}

template <typename T>
BINORM_INLINE void store_up_to(T* to, Vector<T> vector, int64_t count) {
  if (count == kWhole)
    store<T>(to, vector);
  else
    store_some<T>(to, vector, count);
}

// Where values and their coefficients are: an instance (contiguous), or a panel of a sample's channels (channels last).
template <bool kChannelsLast>
struct Tile {
  static constexpr bool channels_last = kChannelsLast;
  int64_t instance;  // the first one's index
  int64_t channels;  // 1, or how many the panel has
  int64_t first;     // position of the first value
  int64_t space, stride;
};

// A part of a tile's channels that is worked on in registers.
template <typename T, bool kChannelsLast, int64_t kRegisters>
struct Block {
  static constexpr bool channels_last = kChannelsLast;
  static constexpr int64_t registers = kRegisters;                     // of coefficients
  static constexpr int64_t unrolled = kChannelsLast ? kRegisters : 4;  // of values
  int64_t channel;  // the first one, counted from the tile's
  int64_t some;     // how many channels its one register has; kWhole for all lanes

  // The coefficients for value register k; `per_channel` starts with the tile's first.
  BINORM_INLINE Vector<T> coefficient(const Scalar<T>* per_channel, int64_t k) const {
    if constexpr (kChannelsLast) return load_up_to<Scalar<T>>(per_channel + channel + k * kLanes<T>, some);
    return broadcast<T>(per_channel[0]);
  }

  BINORM_INLINE void keep(Scalar<T>* per_channel, int64_t k, Vector<T> values) const {
    store_up_to<Scalar<T>>(per_channel + channel + k * kLanes<T>, values, some);
  }
};

template <typename T, int64_t kRegisters, typename Load, typename Step, typename Store>
BINORM_INLINE void walk_rows(
    const Tile<true>& tile, int64_t at, int64_t rows, Block<T, true, kRegisters> block, Load load, Step step,
    Store store) {
  auto state = load(block);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t k = 0; k < kRegisters; ++k)
      step(state, at + row * tile.stride + block.channel + k * kLanes<T>, k, Integers<T>{} - 1, block.some);
  store(block, state);
}

// Goes over the values of a tile: for each run of them state = load(block), step(state, position, k, fresh, count) for
// value register k, store(block, state); and fold() after a chunk of them.
template <typename T, bool kChannelsLast, typename Load, typename Step, typename Store, typename Fold>
BINORM_INLINE void walk(const Tile<kChannelsLast>& tile, Load load, Step step, Store store, Fold fold) {
  constexpr int64_t width = kLanes<T>, chunk = kChannelsLast ? kChunkRows : kChunk;
  for (int64_t start = 0; start < tile.space; start += chunk) {
    const int64_t count = least(tile.space - start, chunk), at = tile.first + start * tile.stride;
    if constexpr (kChannelsLast) {
      const int64_t blocks = (tile.channels + kBlock * width - 1) / (kBlock * width);
      const int64_t at_once = blocks == 1 ? kChunkRows : 1;  // one by one, memory is read from end to end
      for (int64_t row = 0; row < count; row += at_once) {
        const int64_t rows = least(count - row, at_once), here = at + row * tile.stride;
        int64_t c = 0;
        for (; c + kBlock * width <= tile.channels; c += kBlock * width)
          walk_rows(tile, here, rows, Block<T, true, kBlock>{c, kWhole}, load, step, store);
        if (kBlock > 2 && c + 2 * width <= tile.channels) {
          walk_rows(tile, here, rows, Block<T, true, 2>{c, kWhole}, load, step, store);
          c += 2 * width;
        }
        for (; c + width <= tile.channels; c += width)
          walk_rows(tile, here, rows, Block<T, true, 1>{c, kWhole}, load, step, store);
        if (c < tile.channels)
          walk_rows(tile, here, rows, Block<T, true, 1>{c, tile.channels - c}, load, step, store);
      }
    } else {
      constexpr Block<T, false, 1> block{0, kWhole};
      auto state = load(block);
      if (count >= width)
        for_registers<T, block.unrolled>(count, [&](int64_t i, Integers<T> fresh, int64_t k)
                                                    __attribute__((always_inline)) { step(state, at + i, k, fresh, kWhole); });
      else
        step(state, at, 0, lane_numbers<T>() < typename Arithmetic<T>::Integer(count), count);
      store(block, state);
    }
    fold();
  }
}

// Calls body(tile) for all tiles of channels [begin, end) of a sample.
template <typename T, typename Body>
BINORM_INLINE void for_tiles(const Problem<T>& p, int64_t n, int64_t begin, int64_t end, Body body) {
  const int64_t sample = n * p.channels;
  if (p.channels_last)
    for (int64_t c = begin; c < end; c += kPanel)
      body(Tile<true>{sample + c, least(end - c, kPanel), sample * p.space + c, p.space, p.channels});
  else
    for (int64_t c = begin; c < end; ++c) body(Tile<false>{sample + c, 1, (sample + c) * p.space, p.space, 1});
}

// ---- moments

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
    const double sum = sum_of_lanes<width>((sums[0] + sums[1]) + (sums[2] + sums[3]));
    const double square = sum_of_lanes<width>((squares[0] + squares[1]) + (squares[2] + squares[3]));
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
  // Returns whether the guesses were good enough, moves them if not.
  const auto check = [&](const auto* sum, const auto* square) {
    int64_t off = 0;
    for (int64_t c = 0; c < tile.channels; ++c) off += sum[c] * sum[c] > A(kTooFar) * square[c] * tile.space;
    for (int64_t c = 0; off && c < tile.channels; ++c) centre[c] += A(sum[c] * p.one_over_space);
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

// ---- coefficients: per-instance numbers only

// (var + eps)^-1/2; one value has no instance norm: 0.
template <typename A>
BINORM_INLINE A inverse_root(A var, A eps, bool spread = true) {
  return spread ? 1 / std::sqrt(var + eps) : 0;
}

template <typename T>
void batch_moments(const Problem<T>& p, int64_t begin, int64_t count, Scalar<T>* mean_rest) {
  double mean[kChannelsAtOnce] = {}, var[kChannelsAtOnce] = {};
  for (int64_t n = 0; n < p.samples; ++n)
    for (int64_t i = 0, at = n * p.channels + begin; i < count; ++i)
      mean[i] += double(p.instance_mean[at + i]) + p.mean_rest[at + i];
  for (int64_t i = 0; i < count; ++i) mean[i] /= p.samples;
  for (int64_t n = 0; n < p.samples; ++n)
    for (int64_t i = 0, at = n * p.channels + begin; i < count; ++i) {
      const double apart = double(p.instance_mean[at + i]) + p.mean_rest[at + i] - mean[i];
      var[i] += p.instance_var[at + i] + apart * apart;
    }
  for (int64_t i = 0; i < count; ++i) {
    p.batch_mean[begin + i] = mean[i];
    mean_rest[i] = mean[i] - double(p.batch_mean[begin + i]);
    p.batch_var[begin + i] = var[i] / p.samples;
  }
}

template <typename T>
void forward_coefficients(const Problem<T>& p, int64_t first, int64_t end) {
  using A = Scalar<T>;
  for (int64_t begin = first; begin < end; begin += kChannelsAtOnce) {
    const int64_t count = least(end - begin, kChannelsAtOnce);
    A batch_rest[kChannelsAtOnce] = {};
    if (p.training) batch_moments(p, begin, count, batch_rest);
    A mean[kChannelsAtOnce], batch[kChannelsAtOnce], instance[kChannelsAtOnce], bias[kChannelsAtOnce];
    for (int64_t i = 0; i < count; ++i) {
      const double weight = p.weight[begin + i], gate = p.gate[begin + i];
      mean[i] = p.batch_mean[begin + i];
      batch[i] = weight * gate * inverse_root<double>(p.batch_var[begin + i], p.eps);
      instance[i] = weight * (1 - gate);
      bias[i] = p.bias[begin + i] - double(batch[i]) * batch_rest[i];
    }
    const bool spread = p.space > 1;
    const A eps = p.eps;
    for (int64_t n = 0; n < p.samples; ++n) {
      const int64_t at = n * p.channels + begin;
      const A *means = p.instance_mean + at, *vars = p.instance_var + at;
      const A* rests = p.mean_rest ? p.mean_rest + at : nullptr;
      A *__restrict scale = p.scale + at, *__restrict shift = p.shift + at;
      for (int64_t i = 0; i < count; ++i) {
        scale[i] = batch[i] + instance[i] * inverse_root<A>(vars[i], eps, spread);
        shift[i] = bias[i] + batch[i] * (means[i] - mean[i]);
      }
      // u is taken from the rounded mean; the rest of it, batch norm's part of which is in `batch` alone, goes here
      for (int64_t i = 0; rests && i < count; ++i) shift[i] += (batch[i] - scale[i]) * rests[i];
    }
  }
}

template <typename T>
void backward_coefficients(const Problem<T>& p, int64_t first, int64_t end) {
  using A = Scalar<T>;
  for (int64_t begin = first; begin < end; begin += kChannelsAtOnce) {
    const int64_t count = least(end - begin, kChannelsAtOnce);
    const double *gate = p.gate + begin, *weight = p.weight + begin;
    const A* batch_mean = p.batch_mean + begin;
    double sum[kChannelsAtOnce] = {}, moment[kChannelsAtOnce] = {}, instance_part[kChannelsAtOnce] = {};
    const bool spread = p.space > 1;
    const A eps = p.eps;
    for (int64_t n = 0; n < p.samples; ++n) {
      const int64_t at = n * p.channels + begin;
      A* __restrict rstd = p.offset + at;  // kept for the second loop
      const A *means = p.instance_mean + at, *vars = p.instance_var + at, *sums = p.grad_sum + at,
              *moments = p.grad_moment + at;
      for (int64_t i = 0; i < count; ++i) rstd[i] = inverse_root<A>(vars[i], eps, spread);
      for (int64_t i = 0; i < count; ++i) {
        sum[i] += sums[i];
        moment[i] += moments[i] + double(means[i] - batch_mean[i]) * sums[i];
        instance_part[i] += double(rstd[i]) * moments[i];
      }
    }
    A batch_scale[kChannelsAtOnce], instance_scale[kChannelsAtOnce];
    A mean_gradient[kChannelsAtOnce], mean_moment[kChannelsAtOnce];
    const double values = double(p.samples) * p.space;
    for (int64_t i = 0; i < count; ++i) {
      const double rstd = inverse_root<double>(p.batch_var[begin + i], p.eps);
      const double batch_part = rstd * moment[i], factor = p.training ? gate[i] * weight[i] * rstd / values : 0;
      p.grad_bias[begin + i] = sum[i];
      p.grad_weight[begin + i] = gate[i] * batch_part + (1 - gate[i]) * instance_part[i];
      p.grad_gate[begin + i] = weight[i] * (batch_part - instance_part[i]);
      mean_gradient[i] = factor * sum[i];
      mean_moment[i] = factor * rstd * rstd * moment[i];
      batch_scale[i] = weight[i] * gate[i] * rstd;
      instance_scale[i] = weight[i] * (1 - gate[i]);
    }
    const A one_over_space = A(1) / p.space;
    for (int64_t n = 0; n < p.samples; ++n) {
      const int64_t at = n * p.channels + begin;
      const A *means = p.instance_mean + at, *sums = p.grad_sum + at, *moments = p.grad_moment + at;
      A *__restrict scale = p.scale + at, *__restrict factor = p.input_factor + at, *__restrict offset = p.offset + at;
      for (int64_t i = 0; i < count; ++i) {
        const A rstd = offset[i], share = instance_scale[i] * rstd * one_over_space;
        scale[i] = batch_scale[i] + instance_scale[i] * rstd;
        factor[i] = -(share * rstd * rstd * moments[i] + mean_moment[i]);
        offset[i] = -(share * sums[i] + mean_gradient[i] + mean_moment[i] * (means[i] - batch_mean[i]));
      }
    }
  }
}

// ---- passes over values

template <typename T, int64_t kRegisters>
struct Affine {
  Vector<T> mean[kRegisters], scale[kRegisters], shift[kRegisters];

  template <typename Block>
  BINORM_INLINE void load(const Problem<T>& p, int64_t instance, const Block& block, bool shifted) {
    for (int64_t k = 0; k < kRegisters; ++k) {
      mean[k] = block.coefficient(p.instance_mean + instance, k);
      scale[k] = block.coefficient(p.scale + instance, k);
      if (shifted) shift[k] = block.coefficient(p.shift + instance, k);
    }
  }
};

constexpr auto kNothing = [](auto&&...) {};

// output = activation(scale * u + shift + residual)
template <typename T, Activation kKind, bool kResidual>
void normalize(const Problem<T>& p, int64_t n, int64_t begin, int64_t end) {
  const Scalar<T> slope = Scalar<T>(p.negative_slope);
  const T *input = p.input, *residual = p.residual;
  T* output = p.output;
  for_tiles<T>(p, n, begin, end, [&](auto tile) {
    walk<T>(
        tile,
        [&](auto block) {
          Affine<T, block.registers> state;
          state.load(p, tile.instance, block, true);
          return state;
        },
        [&](auto& state, int64_t i, int64_t k, Integers<T>, int64_t some) __attribute__((always_inline)) {
          const int64_t c = tile.channels_last ? k : 0;
          Vector<T> z = state.scale[c] * (load_up_to<T>(input + i, some) - state.mean[c]) + state.shift[c];
          if constexpr (kResidual) z += load_up_to<T>(residual + i, some);
          store_up_to<T>(output + i, activate<kKind>(z, slope), some);
        },
        kNothing, kNothing);
  });
}

template <typename T, int64_t kRegisters, int64_t kUnrolled>
struct GradientSums : Affine<T, kRegisters> {
  Vector<T> sums[kUnrolled] = {}, moments[kUnrolled] = {};
};

// g = grad_output * activation'(z); its sum and that of g * u, and g itself where the residual needs it
template <typename T, Activation kKind, bool kResidual>
void gradient_sums(const Problem<T>& p, int64_t n, int64_t begin, int64_t end) {
  constexpr bool activated = kKind != Activation::identity;
  const Scalar<T> slope = Scalar<T>(p.negative_slope);
  const T *input = p.input, *residual = p.residual, *grad_output = p.grad_output;
  T* grad_residual = p.grad_residual;
  for_tiles<T>(p, n, begin, end, [&](auto tile) {
    using TileType = decltype(tile);
    constexpr int64_t channels = TileType::channels_last ? kPanel : 1;
    Scalar<T> chunk_sum[channels], chunk_moment[channels];
    double sum[channels], moment[channels];  // of all chunks, where there are several
    const bool one_chunk = tile.space <= (TileType::channels_last ? kChunkRows : kChunk);
    for (int64_t c = 0; c < tile.channels; ++c) chunk_sum[c] = chunk_moment[c] = 0;
    for (int64_t c = 0; !one_chunk && c < tile.channels; ++c) sum[c] = moment[c] = 0;
    walk<T>(
        tile,
        [&](auto block) {
          GradientSums<T, block.registers, block.unrolled> state;
          state.load(p, tile.instance, block, activated);
          if constexpr (block.channels_last)
            for (int64_t k = 0; k < block.registers; ++k) {
              state.sums[k] = block.coefficient(chunk_sum, k);
              state.moments[k] = block.coefficient(chunk_moment, k);
            }
          return state;
        },
        [&](auto& state, int64_t i, int64_t k, Integers<T> fresh, int64_t some) __attribute__((always_inline)) {
          const int64_t c = TileType::channels_last ? k : 0;
          const Vector<T> u = load_up_to<T>(input + i, some) - state.mean[c];
          Vector<T> g = load_up_to<T>(grad_output + i, some);
          if constexpr (activated) {
            Vector<T> z = state.scale[c] * u + state.shift[c];
            if constexpr (kResidual) z += load_up_to<T>(residual + i, some);
            g *= slope_at<kKind>(z, slope);
          }
          if constexpr (kResidual) {  // as rounded: what is read again later should have these sums
            store_up_to<T>(grad_residual + i, g, some);
            g = load_up_to<T>(grad_residual + i, some);
          }
          if constexpr (!TileType::channels_last) g = only<T>(fresh, g);
          state.sums[k] += g;
          state.moments[k] += g * u;
        },
        [&](auto block, auto& state) {
          if constexpr (block.channels_last) {
            for (int64_t k = 0; k < block.registers; ++k) {
              block.keep(chunk_sum, k, state.sums[k]);
              block.keep(chunk_moment, k, state.moments[k]);
            }
          } else {
            const auto of_four = [](const Vector<T>* v) { return sum_of_lanes<kLanes<T>>((v[0] + v[1]) + (v[2] + v[3])); };
            chunk_sum[0] = of_four(state.sums);
            chunk_moment[0] = of_four(state.moments);
          }
        },
        [&] {
          for (int64_t c = 0; !one_chunk && c < tile.channels; ++c) {
            sum[c] += chunk_sum[c], moment[c] += chunk_moment[c];
            chunk_sum[c] = chunk_moment[c] = 0;
          }
        });
    for (int64_t c = 0; c < tile.channels; ++c) {
      p.grad_sum[tile.instance + c] = one_chunk ? chunk_sum[c] : sum[c];
      p.grad_moment[tile.instance + c] = one_chunk ? chunk_moment[c] : moment[c];
    }
  });
}

template <typename T, int64_t kRegisters>
struct GradientAffine : Affine<T, kRegisters> {
  Vector<T> factor[kRegisters], offset[kRegisters];
};

// grad_input = scale * g + input_factor * u + offset
template <typename T, Activation kKind>
void input_gradient(const Problem<T>& p, int64_t n, int64_t begin, int64_t end) {
  constexpr bool activated = kKind != Activation::identity;
  const Scalar<T> slope = Scalar<T>(p.negative_slope);
  const T *input = p.input, *gradient = p.grad_residual ? p.grad_residual : p.grad_output;
  T* grad_input = p.grad_input;
  for_tiles<T>(p, n, begin, end, [&](auto tile) {
    walk<T>(
        tile,
        [&](auto block) {
          GradientAffine<T, block.registers> state;
          state.load(p, tile.instance, block, activated);
          for (int64_t k = 0; k < block.registers; ++k) {
            state.factor[k] = block.coefficient(p.input_factor + tile.instance, k);
            state.offset[k] = block.coefficient(p.offset + tile.instance, k);
          }
          return state;
        },
        [&](auto& state, int64_t i, int64_t k, Integers<T>, int64_t some) __attribute__((always_inline)) {
          const int64_t c = tile.channels_last ? k : 0;
          const Vector<T> u = load_up_to<T>(input + i, some) - state.mean[c];
          Vector<T> g = load_up_to<T>(gradient + i, some);
          if constexpr (activated) g *= slope_at<kKind>(state.scale[c] * u + state.shift[c], slope);
          const Vector<T> dx = state.scale[c] * g + (state.factor[c] * u + state.offset[c]);
          store_up_to<T>(grad_input + i, dx, some);
        },
        kNothing, kNothing);
  });
}

// ---- the table

// Calls f.template operator()<kind>() for the activation of a call.
template <typename F>
BINORM_INLINE void with_activation(Activation kind, F f) {
  switch (kind) {
    case Activation::identity: return f.template operator()<Activation::identity>();
    case Activation::relu: return f.template operator()<Activation::relu>();
    case Activation::leaky_relu: return f.template operator()<Activation::leaky_relu>();
    case Activation::silu: return f.template operator()<Activation::silu>();
    case Activation::gelu: return f.template operator()<Activation::gelu>();
  }
}

template <typename T>
constexpr Kernels<T> table() {
  return {
      moments<T>,
      forward_coefficients<T>,
      [](const Problem<T>& p, int64_t n, int64_t begin, int64_t end) {
        with_activation(p.activation, [&]<Activation kKind>() {
          p.residual ? normalize<T, kKind, true>(p, n, begin, end) : normalize<T, kKind, false>(p, n, begin, end);
        });
      },
      [](const Problem<T>& p, int64_t n, int64_t begin, int64_t end) {
        with_activation(p.activation, [&]<Activation kKind>() {
          p.residual ? gradient_sums<T, kKind, true>(p, n, begin, end)
                     : gradient_sums<T, kKind, false>(p, n, begin, end);
        });
      },
      backward_coefficients<T>,
      [](const Problem<T>& p, int64_t n, int64_t begin, int64_t end) {
        // With a residual, gradient_sums has applied the activation's slope already.
        with_activation(p.grad_residual ? Activation::identity : p.activation, [&]<Activation kKind>() {
          input_gradient<T, kKind>(p, n, begin, end);
        });
      },
  };
}

constexpr KernelSet kTable = {table<float>(), table<double>(), table<bfloat16>()};

}  // namespace
