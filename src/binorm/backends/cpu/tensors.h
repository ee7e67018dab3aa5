// Memory for a call, and its vectors of channels.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Exception.h>
#include <torch/headeronly/util/Half.h>

#include <algorithm>
#include <new>
#include <optional>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using OptionalTensor = std::optional<Tensor>;

// Mappings this large are never reused by the C library's allocator, so every fresh tensor pays a page fault for each
// page of it. Huge pages make that 512 times fewer faults.
constexpr int64_t kHugeFrom = int64_t(4) << 20;

Tensor fresh_like(const Tensor& like) {
  Tensor fresh = torch::stable::empty_like(like);
#if defined(__linux__)
  const int64_t bytes = fresh.numel() * int64_t(fresh.element_size());
  if (bytes >= kHugeFrom) {
    constexpr uintptr_t huge = uintptr_t(2) << 20;
    const uintptr_t begin = reinterpret_cast<uintptr_t>(fresh.mutable_data_ptr());
    const uintptr_t from = (begin + huge - 1) / huge * huge, to = (begin + bytes) / huge * huge;
    if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);  // advice: failing is harmless
  }
#endif
  return fresh;
}

// Numbers that live for one call, not initialised; they start with a cache line, so that threads with cache lines of
// channels each do not write to the same.
template <typename A>
struct Scratch {
  static constexpr std::align_val_t kLine{64};
  A* const numbers;

  explicit Scratch(int64_t count) : numbers(static_cast<A*>(::operator new(count * sizeof(A), kLine))) {}
  ~Scratch() { ::operator delete(numbers, kLine); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
};

// Vectors of channels come in whatever dtype the module has.

template <typename F>
void with_vector_type(const Tensor& vector, F f) {
  switch (vector.scalar_type()) {
    case ScalarType::Float: return f(static_cast<float*>(vector.data_ptr()));
    case ScalarType::Double: return f(static_cast<double*>(vector.data_ptr()));
    case ScalarType::BFloat16: return f(static_cast<c10::BFloat16*>(vector.data_ptr()));
    case ScalarType::Half: return f(static_cast<c10::Half*>(vector.data_ptr()));
    default: STD_TORCH_CHECK(false, "batch_instance_norm: vectors of channels should be floating point");
  }
}

// PyTorch's half-precision numbers convert from float only.
template <typename V>
void assign(V& to, double value) {
  if constexpr (std::is_same_v<V, double>)
    to = value;
  else
    to = static_cast<float>(value);
}

std::vector<double> read_vector(const OptionalTensor& vector, double otherwise, int64_t channels) {
  std::vector<double> values(channels, otherwise);
  if (!vector) return values;
  STD_TORCH_CHECK(
      vector->dim() == 1 && vector->size(0) == channels, "batch_instance_norm: expected ", channels,
      " values, one for each channel");
  const int64_t stride = vector->stride(0);
  with_vector_type(*vector, [&](const auto* data) {
    for (int64_t c = 0; c < channels; ++c) values[c] = static_cast<double>(data[c * stride]);
  });
  return values;
}

// The gates, projected onto [0, 1] if asked; NaN stays NaN.
std::vector<double> read_gate(const Tensor& gate, int64_t channels, bool clip) {
  std::vector<double> values = read_vector(gate, 1, channels);
  if (clip)
    for (double& value : values) value = std::clamp(value, 0.0, 1.0);
  return values;
}

Tensor vector_of(const std::vector<double>& values, const Tensor& like) {
  Tensor vector = torch::stable::new_empty(like, {int64_t(values.size())});
  with_vector_type(vector, [&](auto* data) {
    for (size_t c = 0; c < values.size(); ++c) assign(data[c], values[c]);
  });
  return vector;
}

}  // namespace
