// The CPU side of the operator binorm::batch_instance_norm, its backward pass and its running statistics.
//
// Only PyTorch's stable ABI is used, so that one binary serves many versions of PyTorch and of Python.
#include <torch/csrc/stable/library.h>

#include <cstdlib>
#include <string>
#include <tuple>

#include "kernels.h"
#include "schedule.h"
#include "tensors.h"

namespace {

using binorm::Activation;
using binorm::Kernels;
using binorm::KernelSet;
using Forward = std::tuple<Tensor, Tensor>;
using Backward = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;

// ---- instruction set

// The best that the processor has, or less where ATEN_CPU_CAPABILITY asks for less, as it does of PyTorch's kernels.
const KernelSet& kernel_set() {
  static const KernelSet chosen = [] {
    const char* asked = std::getenv("ATEN_CPU_CAPABILITY");
    const std::string limit = asked ? asked : "";
#if defined(__x86_64__)
    const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (has_avx512 && limit != "default" && limit != "avx2" && binorm::avx512_kernels()) {
      KernelSet set = *binorm::avx512_kernels();
      if (__builtin_cpu_supports("avx512bf16")) set.for_bfloat16 = *binorm::avx512_bf16_kernels();
      return set;
    }
    if (has_avx2 && limit != "default" && binorm::avx2_kernels()) return *binorm::avx2_kernels();
#endif
    return *binorm::base_kernels();
  }();
  return chosen;
}

template <typename T>
const Kernels<T>& kernels() {
  if constexpr (std::is_same_v<T, float>)
    return kernel_set().for_float32;
  else if constexpr (std::is_same_v<T, double>)
    return kernel_set().for_float64;
  else
    return kernel_set().for_bfloat16;
}

// ---- one call

Activation activation_named(const std::string& name) {
  if (name == "identity") return Activation::identity;
  if (name == "relu") return Activation::relu;
  if (name == "relu6") return Activation::relu6;
  if (name == "leaky_relu") return Activation::leaky_relu;
  if (name == "silu") return Activation::silu;
  STD_TORCH_CHECK(
      name == "gelu", "batch_instance_norm: unknown activation '", name,
      "', expected identity, relu, relu6, leaky_relu, silu or gelu");
  return Activation::gelu;
}

void check_like_input(const char* name, const Tensor& other, const Tensor& input) {
  bool same = other.scalar_type() == input.scalar_type() && other.dim() == input.dim();
  for (int64_t d = 0; same && d < input.dim(); ++d)
    same = other.size(d) == input.size(d) && (other.stride(d) == input.stride(d) || input.size(d) == 1);
  STD_TORCH_CHECK(same, "batch_instance_norm: ", name, " should have the shape, strides and dtype of the input");
}

// Shape, layout and settings; the pointers are the caller's.
template <typename T>
Problem<T> problem_of(const Tensor& input, double eps, const std::string& activation, double negative_slope) {
  STD_TORCH_CHECK(
      input.dim() >= 2 && input.numel() > 0, "batch_instance_norm: expected a batch with 2 to 5 dimensions");
  Problem<T> p{};
  p.samples = input.size(0);
  p.channels = input.size(1);
  p.space = input.numel() / (p.samples * p.channels);
  p.one_over_space = 1.0 / p.space;
  // Channels of single values are adjacent in either layout.
  p.channels_last = !input.is_contiguous() || p.space == 1;
  if (!input.is_contiguous()) {
    int64_t stride = p.channels;
    bool dense = input.size(1) == 1 || input.stride(1) == 1;
    for (int64_t d = input.dim() - 1; d >= 2; stride *= input.size(d--))
      dense = dense && (input.size(d) == 1 || input.stride(d) == stride);
    dense = dense && (p.samples == 1 || input.stride(0) == stride);
    STD_TORCH_CHECK(dense, "batch_instance_norm: expected a contiguous or channels-last input");
  }
  p.eps = eps;
  p.activation = activation_named(activation);
  p.negative_slope = negative_slope;
  p.input = static_cast<const T*>(input.const_data_ptr());
  return p;
}

// ---- the operators

bool are_statistics(const Tensor& tensor) {
  const ScalarType type = tensor.scalar_type();
  return tensor.dim() == 3 && tensor.size(0) == 2 && tensor.size(1) > 0 && tensor.is_contiguous() &&
         (type == ScalarType::Float || type == ScalarType::Double);
}

// Points p at `statistics`: (2, samples + 1, channels), means before variances, instances before the batch.
template <typename T>
void use_statistics(Problem<T>& p, const Tensor& statistics) {
  STD_TORCH_CHECK(
      are_statistics(statistics) && statistics.size(1) == p.samples + 1 && statistics.size(2) == p.channels &&
          statistics.element_size() == sizeof(typename Problem<T>::A),
      "batch_instance_norm: these are not the statistics of this input");
  const int64_t instances = p.samples * p.channels;
  p.instance_mean = static_cast<typename Problem<T>::A*>(statistics.data_ptr());
  p.batch_mean = p.instance_mean + instances;
  p.instance_var = p.batch_mean + p.channels;
  p.batch_var = p.instance_var + instances;
}

template <typename T>
Forward forward_of(
    const Tensor& input, const Tensor& gate, const OptionalTensor& weight, const OptionalTensor& bias,
    const OptionalTensor& residual, const OptionalTensor& mean, const OptionalTensor& var, double eps,
    const std::string& activation, double negative_slope, bool clip_gate) {
  using A = typename Problem<T>::A;
  constexpr ScalarType accumulator = std::is_same_v<A, double> ? ScalarType::Double : ScalarType::Float;
  Problem<T> p = problem_of<T>(input, eps, activation, negative_slope);
  p.training = !mean;
  if (residual) {
    check_like_input("residual", *residual, input);
    p.residual = static_cast<const T*>(residual->const_data_ptr());
  }
  const auto gates = read_gate(gate, p.channels, clip_gate), weights = read_vector(weight, 1, p.channels),
             biases = read_vector(bias, 0, p.channels);
  p.gate = gates.data(), p.weight = weights.data(), p.bias = biases.data();

  Tensor output = fresh_like(input);
  p.output = static_cast<T*>(output.mutable_data_ptr());
  Tensor statistics = torch::stable::new_empty(input, {2, p.samples + 1, p.channels}, accumulator);
  use_statistics(p, statistics);
  STD_TORCH_CHECK(mean.has_value() == var.has_value(), "batch_instance_norm: mean and var should be given together");
  if (!p.training) {
    const auto means = read_vector(mean, 0, p.channels), vars = read_vector(var, 1, p.channels);
    std::copy(means.begin(), means.end(), p.batch_mean);
    std::copy(vars.begin(), vars.end(), p.batch_var);
  }
  const int64_t instances = p.samples * p.channels;
  const Scratch<A> scratch(3 * instances);
  p.mean_rest = scratch.numbers, p.scale = p.mean_rest + instances, p.shift = p.scale + instances;

  const Kernels<T>& passes = kernels<T>();
  run(p, 1, passes.moments, passes.forward_coefficients, passes.normalize);
  return {output, statistics};
}

template <typename T>
Backward backward_of(
    const Tensor& grad_output, const Tensor& input, const Tensor& gate, const OptionalTensor& weight,
    const OptionalTensor& bias, const OptionalTensor& residual, const Tensor& statistics, bool training,
    double eps, const std::string& activation, double negative_slope, bool clip_gate) {
  using A = typename Problem<T>::A;
  Problem<T> p = problem_of<T>(input, eps, activation, negative_slope);
  p.training = training;
  check_like_input("grad_output", grad_output, input);
  p.grad_output = static_cast<const T*>(grad_output.const_data_ptr());
  if (residual) {
    check_like_input("residual", *residual, input);
    p.residual = static_cast<const T*>(residual->const_data_ptr());
  }
  const auto gates = read_gate(gate, p.channels, clip_gate), weights = read_vector(weight, 1, p.channels),
             biases = read_vector(bias, 0, p.channels);
  p.gate = gates.data(), p.weight = weights.data(), p.bias = biases.data();
  use_statistics(p, statistics);

  Tensor grad_input = fresh_like(input);
  p.grad_input = static_cast<T*>(grad_input.mutable_data_ptr());
  Tensor grad_residual = residual ? fresh_like(input) : torch::stable::new_empty(input, {0});
  // An activation's slope is applied to the residual's gradient once, which the output pass then reads.
  if (residual) p.grad_residual = static_cast<T*>(grad_residual.mutable_data_ptr());
  std::vector<double> grad_gate(p.channels), grad_weight(p.channels), grad_bias(p.channels);
  p.grad_gate = grad_gate.data(), p.grad_weight = grad_weight.data(), p.grad_bias = grad_bias.data();
  const int64_t instances = p.samples * p.channels;
  const Scratch<A> scratch(6 * instances);
  p.scale = scratch.numbers, p.shift = p.scale + instances;
  p.input_factor = p.shift + instances, p.offset = p.input_factor + instances;
  p.grad_sum = p.offset + instances, p.grad_moment = p.grad_sum + instances;

  const Kernels<T>& passes = kernels<T>();
  if (p.activation != Activation::identity) {  // z is computed again, with the statistics that are there
    Problem<T> again = p;
    again.training = false;
    for_channels(p, kLeastChannels, 16 * p.samples, [&](int64_t begin, int64_t end) {
      passes.forward_coefficients(again, begin, end);
    });
  }
  run(p, 2, passes.gradient_sums, passes.backward_coefficients, passes.input_gradient);
  return {
      grad_input, vector_of(grad_gate, gate), vector_of(grad_weight, weight ? *weight : gate),
      vector_of(grad_bias, bias ? *bias : gate), grad_residual};
}

// Calls f with a null pointer of the type that the kernels have for the input's dtype.
template <typename F>
auto with_type_of(const Tensor& input, F f) {
  switch (input.scalar_type()) {
    case ScalarType::Float: return f(static_cast<float*>(nullptr));
    case ScalarType::Double: return f(static_cast<double*>(nullptr));
    default:
      STD_TORCH_CHECK(
          input.scalar_type() == ScalarType::BFloat16,
          "batch_instance_norm: the CPU kernels compute in float32, float64 and bfloat16");
      return f(static_cast<binorm::bfloat16*>(nullptr));
  }
}

Forward batch_instance_norm(
    Tensor input, Tensor gate, OptionalTensor weight, OptionalTensor bias, OptionalTensor residual,
    OptionalTensor mean, OptionalTensor var, double eps, std::string activation, double negative_slope,
    bool clip_gate) {
  return with_type_of(input, [&]<typename T>(T*) {
    return forward_of<T>(input, gate, weight, bias, residual, mean, var, eps, activation, negative_slope, clip_gate);
  });
}

Backward batch_instance_norm_backward(
    Tensor grad_output, Tensor input, Tensor gate, OptionalTensor weight, OptionalTensor bias,
    OptionalTensor residual, Tensor statistics, bool training, double eps, std::string activation,
    double negative_slope, bool clip_gate) {
  return with_type_of(input, [&]<typename T>(T*) {
    return backward_of<T>(
        grad_output, input, gate, weight, bias, residual, statistics, training, eps, activation, negative_slope,
        clip_gate);
  });
}

// Moves running statistics towards those of a batch of `count` values a channel; the variance becomes unbiased.
void update_running_statistics(
    OptionalTensor running_mean, OptionalTensor running_var, Tensor statistics, double momentum, int64_t count) {
  STD_TORCH_CHECK(
      are_statistics(statistics), "batch_instance_norm: expected statistics of shape (2, samples + 1, channels)");
  const int64_t last = statistics.size(1) - 1, channels = statistics.size(2);
  const bool is_double = statistics.scalar_type() == ScalarType::Double;
  const auto batch = [&](int64_t which, int64_t c) {
    const int64_t at = (which * (last + 1) + last) * channels + c;
    return is_double ? static_cast<const double*>(statistics.const_data_ptr())[at]
                     : static_cast<const float*>(statistics.const_data_ptr())[at];
  };
  const auto move = [&](const OptionalTensor& running, int64_t which, double factor) {
    if (!running) return;
    STD_TORCH_CHECK(running->dim() == 1 && running->size(0) == channels, "batch_instance_norm: expected ", channels,
                    " running statistics, one for each channel");
    const int64_t stride = running->stride(0);
    with_vector_type(*running, [&](auto* values) {
      for (int64_t c = 0; c < channels; ++c) {
        const double value = static_cast<double>(values[c * stride]);
        assign(values[c * stride], value + momentum * (factor * batch(which, c) - value));
      }
    });
  };
  move(running_mean, 0, 1.0);
  move(running_var, 1, double(count) / (count - 1));
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(binorm, CPU, library) {
  library.impl("batch_instance_norm", TORCH_BOX(&batch_instance_norm));
  library.impl("batch_instance_norm_backward", TORCH_BOX(&batch_instance_norm_backward));
  library.impl("update_running_statistics", TORCH_BOX(&update_running_statistics));
}
