// Which thread does what, and in which order.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>

#include "kernels.h"

namespace {

using binorm::Problem;

// Who does what never changes a bit of the result: instances are summed by one thread each.

// Fewer values than this are not worth another thread.
constexpr int64_t kValuesPerThread = 1 << 14;
// Channels last with few samples: a sample's channels are shared among threads in runs of this many, a cache line.
constexpr int64_t kLeastChannels = 32;

// Calls f(n, begin, end) for the channels of all samples; `backwards` starts with what was touched last.
template <typename T, typename F>
void for_samples(const Problem<T>& p, bool backwards, F f) {
  const int64_t threads = torch::stable::get_num_threads();
  int64_t parts = 1;
  while (p.samples * parts < threads && p.channels / (parts + 1) >= kLeastChannels) ++parts;
  const int64_t width = (p.channels + parts - 1) / parts;
  const int64_t aligned = (width + kLeastChannels - 1) / kLeastChannels * kLeastChannels;
  const int64_t step = parts == 1 ? p.channels : aligned;
  const int64_t blocks = (p.channels + step - 1) / step;
  const int64_t grain = std::max<int64_t>(1, kValuesPerThread / std::max<int64_t>(1, step * p.space));
  torch::stable::parallel_for(0, p.samples * blocks, grain, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      const int64_t task = backwards ? from + to - 1 - i : i, begin = task % blocks * step;
      f(task / blocks, begin, std::min(begin + step, p.channels));
    }
  });
}

// Calls f(begin, end) for runs of channels.
template <typename T, typename F>
void for_channels(const Problem<T>& p, int64_t step, int64_t values_each, F f) {
  const int64_t blocks = (p.channels + step - 1) / step;
  const int64_t grain = std::max<int64_t>(1, kValuesPerThread / std::max<int64_t>(1, step * values_each));
  torch::stable::parallel_for(0, blocks, grain, [&](int64_t from, int64_t to) {
    for (int64_t block = from; block < to; ++block) f(block * step, std::min((block + 1) * step, p.channels));
  });
}

// How many channels of all samples a core's share of the last cache holds, `tensors` of them at once; at most a cache
// line of statistics. Fewer, for the cache before it, are 10 to 30 % slower: a sample's run of memory gets short.
template <typename T>
int64_t cached_channels(const Problem<T>& p, int64_t tensors) {
  constexpr int64_t cache = 1 << 21;
  const int64_t channel_bytes = p.samples * p.space * tensors * int64_t(sizeof(T));
  const int64_t per_thread = (p.channels + torch::stable::get_num_threads() - 1) / torch::stable::get_num_threads();
  return std::clamp<int64_t>(std::min(cache / channel_bytes, per_thread), 1, 16);
}

// statistics pass, coefficients, output pass: channel by channel where channels are contiguous, so that the second pass
// reads from cache, else one after the other over the whole tensor.
template <typename T, typename First, typename Coefficients, typename Second>
void run(const Problem<T>& p, int64_t tensors, First first, Coefficients coefficients, Second second) {
  if (p.channels_last) {
    for_samples(p, false, [&](int64_t n, int64_t begin, int64_t end) { first(p, n, begin, end); });
    for_channels(p, kLeastChannels, 16 * p.samples, [&](int64_t begin, int64_t end) { coefficients(p, begin, end); });
    for_samples(p, true, [&](int64_t n, int64_t begin, int64_t end) { second(p, n, begin, end); });
    return;
  }
  for_channels(p, cached_channels(p, tensors), p.samples * p.space, [&](int64_t begin, int64_t end) {
    for (int64_t n = 0; n < p.samples; ++n) first(p, n, begin, end);
    coefficients(p, begin, end);
    for (int64_t n = p.samples - 1; n >= 0; --n) second(p, n, begin, end);
  });
}

}  // namespace
