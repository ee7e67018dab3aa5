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
constexpr int64_t kRowsAtOnce = 4;  // where there are more, if that spares loading and storing sums for each row

// Calls f(i, fresh) for registers at i that cover [0, count): `fresh` marks lanes not covered before. The last register
// overlaps the one before it, so there must be at least a register of values.
template <typename T, int64_t kUnroll, typename F>
BINORM_INLINE void for_registers(int64_t count, F f) {
  constexpr int64_t width = kLanes<T>;
  const Integers<T> all = Integers<T>{} - 1;
  int64_t i = 0;
  for (; i + kUnroll * width <= count; i += kUnroll * width)
    for (int64_t k = 0; k < kUnroll; ++k) f(i + k * width, all, k);
  for (int64_t k = 0; k < kUnroll - 1; ++k)
    if (i + width <= count) f(i, all, k), i += width;
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
  return count == kWhole ? load<T>(from) : load_some(from, count);
}

template <typename T>
BINORM_INLINE void store_up_to(T* to, Vector<T> vector, int64_t count) {
  if (count == kWhole)
    store<T>(to, vector);
  else
    store_some(to, vector, count);
}

// Where values and their coefficients are: an instance (contiguous), or a panel of a sample's channels (channels last).
template <bool kChannelsLast>
struct Tile {
  int64_t instance;  // the first one's index
  int64_t channels;  // 1, or how many the panel has
  int64_t first;     // position of the first value
  int64_t space, stride;
};

// A part of a tile's channels that is worked on in registers.
template <typename T, bool kChannelsLast, int64_t kRegisters>
struct Block {
  static constexpr int64_t registers = kRegisters;
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

template <typename T, int64_t kRegisters, typename Load, typename Step, typename Store, typename Ahead>
BINORM_INLINE void walk_rows(
    const Tile<true>& tile, int64_t at, int64_t rows, Block<T, true, kRegisters> block, Load load, Step step,
    Store store, Ahead ahead) {
  auto state = load(block);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t k = 0; k < kRegisters; ++k) {
      const int64_t i = at + row * tile.stride + block.channel + k * kLanes<T>;
      if (k % (64 / kLanes<T> / int64_t(sizeof(T))) == 0) ahead(i + kRowsAtOnce * tile.stride);
      step(state, i, k, block.some);
    }
  store(block, state);
}

// Goes over the values of a panel: for runs of kRows rows at most state = load(block), step(state, position, k, count)
// for value register k, store(block, state); ahead(position) for each cache line of the rows after them; and fold()
// after a chunk. With one row after the other memory is read and written from end to end, as output passes need it.
template <typename T, int64_t kRows, typename Load, typename Step, typename Store, typename Fold, typename Ahead>
BINORM_INLINE void walk(const Tile<true>& tile, Load load, Step step, Store store, Fold fold, Ahead ahead) {
  constexpr int64_t width = kLanes<T>;
  for (int64_t start = 0; start < tile.space; start += kChunkRows) {
    const int64_t count = least(tile.space - start, kChunkRows), at = tile.first + start * tile.stride;
    const int64_t blocks = (tile.channels + kBlock * width - 1) / (kBlock * width);
    const int64_t at_once = blocks == 1 ? kChunkRows : kRows;
    for (int64_t row = 0; row < count; row += at_once) {
      const int64_t rows = least(count - row, at_once), here = at + row * tile.stride;
      int64_t c = 0;
      for (; c + kBlock * width <= tile.channels; c += kBlock * width)
        walk_rows(tile, here, rows, Block<T, true, kBlock>{c, kWhole}, load, step, store, ahead);
      if (kBlock > 2 && c + 2 * width <= tile.channels) {
        walk_rows(tile, here, rows, Block<T, true, 2>{c, kWhole}, load, step, store, ahead);
        c += 2 * width;
      }
      for (; c + width <= tile.channels; c += width)
        walk_rows(tile, here, rows, Block<T, true, 1>{c, kWhole}, load, step, store, ahead);
      if (c < tile.channels)
        walk_rows(tile, here, rows, Block<T, true, 1>{c, tile.channels - c}, load, step, store, ahead);
    }
    fold();
  }
}

// The same for an instance's values, which share one state, and of which none is left to store or fold.
template <typename T, int64_t, typename Load, typename Step, typename... Nothing>
BINORM_INLINE void walk(const Tile<false>& tile, Load load, Step step, Nothing...) {
  constexpr Block<T, false, 1> block{0, kWhole};
  auto state = load(block);
  if (tile.space >= kLanes<T>)
    for_registers<T, 4>(tile.space, [&](int64_t i, Integers<T>, int64_t k) __attribute__((always_inline)) {
      step(state, tile.first + i, 0, kWhole);
    });
  else
    step(state, tile.first, 0, tile.space);
}

// The lanes of the sums of so many instances are added together.
template <typename T>
constexpr int64_t kTogether = kLanes<T>;

// Calls f.template operator()<kCount>(c) for kCount adjacent channels from c on, until [begin, end) is covered.
template <typename T, typename F>
BINORM_INLINE void for_groups(int64_t begin, int64_t end, F f) {
  constexpr int64_t many = kTogether<T>, some = many >= 16 ? 4 : 1;
  int64_t c = begin;
  for (; c + many <= end; c += many) f.template operator()<many>(c);
  if constexpr (some > 1)
    for (; c + some <= end; c += some) f.template operator()<some>(c);
  for (; c < end; ++c) f.template operator()<1>(c);
}

// Two sums over `count` values of each of kCount instances, `stride` apart: for all registers of an instance
// step(state, position, fresh, a, b), which adds to a and b; state = load(its number in the group).
template <typename T, int64_t kCount, typename Load, typename Step>
BINORM_INLINE void two_sums(
    int64_t first, int64_t stride, int64_t count, Scalar<T>* sums, Scalar<T>* others, Load load, Step step) {
  Vector<T> a[kCount], b[kCount];
  for (int64_t j = 0; j < kCount; ++j) {
    const int64_t at = first + j * stride;
    const auto state = load(j);
    Vector<T> parts[4] = {}, other_parts[4] = {};
    if (count >= kLanes<T>)
      for_registers<T, 4>(count, [&](int64_t i, Integers<T> fresh, int64_t k) __attribute__((always_inline)) {
        step(state, at + i, fresh, kWhole, parts[k], other_parts[k]);
      });
    else
      step(state, at, lane_numbers<T>() < typename Arithmetic<T>::Integer(count), count, parts[0], other_parts[0]);
    a[j] = (parts[0] + parts[1]) + (parts[2] + parts[3]);
    b[j] = (other_parts[0] + other_parts[1]) + (other_parts[2] + other_parts[3]);
  }
  sums_of_lanes<T, kCount>(a, sums);
  sums_of_lanes<T, kCount>(b, others);
}

// Calls body(panel) for all panels of channels [begin, end) of a sample, which has its channels last.
template <typename T, typename Body>
BINORM_INLINE void for_panels(const Problem<T>& p, int64_t n, int64_t begin, int64_t end, Body body) {
  const int64_t sample = n * p.channels;
  for (int64_t c = begin; c < end; c += kPanel)
    body(Tile<true>{sample + c, least(end - c, kPanel), sample * p.space + c, p.space, p.channels});
}

// Calls body(tile) for all tiles of channels [begin, end) of a sample.
template <typename T, typename Body>
BINORM_INLINE void for_tiles(const Problem<T>& p, int64_t n, int64_t begin, int64_t end, Body body) {
  if (p.channels_last) return for_panels<T>(p, n, begin, end, body);
  const int64_t sample = n * p.channels;
  for (int64_t c = begin; c < end; ++c) body(Tile<false>{sample + c, 1, (sample + c) * p.space, p.space, 1});
}

}  // namespace
