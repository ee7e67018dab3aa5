// How the values of instances and channels are visited. Included once for each instruction set.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace {

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

// Calls f(i, fresh) for registers at i that cover [0, count): `fresh` marks lanes not covered before. The last register
// overlaps the one before it, so there must be at least a register of values.
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
        for_registers<T, block.unrolled>(
            count, [&](int64_t i, Integers<T> fresh, int64_t k)
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

}  // namespace
