// What the kernels compute on, and the six passes that each instruction set offers.
#pragma once

#include <cstdint>

namespace binorm {

// A bfloat16 in memory: the upper half of a float32.
struct bfloat16 {
  uint16_t bits;
};

template <typename T>
struct Accumulator {
  using type = T;
};
template <>
struct Accumulator<bfloat16> {
  using type = float;
};

enum class Activation { identity, relu, relu6, leaky_relu, silu, gelu };

// One call: y = activation(scale * (x - instance_mean) + shift + residual), or its gradient.
//
// Tensors of samples * channels * space values lie contiguous, or with the channels last. Arrays are indexed by
// [sample * channels + channel] ("per instance") or [channel]. Null where a call has no such thing.
template <typename T>
struct Problem {
  using A = typename Accumulator<T>::type;

  int64_t samples, channels, space;
  double one_over_space;
  bool channels_last;
  bool training;  // batch statistics are computed (forward) or depend on the input (backward)
  double eps;
  Activation activation;
  double negative_slope;  // of leaky_relu

  const T* input;
  const T* residual;       // added before the activation
  const T* grad_output;    // backward
  T* output;               // forward
  T* grad_input;           // backward
  T* grad_residual;        // backward; written by gradient_sums, then read instead of grad_output

  const double *gate, *weight, *bias;               // per channel
  A *batch_mean, *batch_var;                        // per channel; read unless training and forward
  A *instance_mean, *instance_var;                  // per instance
  A* mean_rest;                                     // per instance: what instance_mean lost in rounding; forward
  A *scale, *shift;                                 // per instance
  A *grad_sum, *grad_moment;                        // per instance: sums of g and of g * (x - instance_mean); backward
  A *input_factor, *offset;                         // per instance; dx = scale * g + input_factor * u + offset
  double *grad_gate, *grad_weight, *grad_bias;      // per channel; backward
};

// Each pass works on channels [begin, end), of one sample where it takes one; calls may run in parallel.
template <typename T>
struct Kernels {
  // instance_mean, mean_rest and instance_var: one read of the input
  void (*moments)(const Problem<T>&, int64_t sample, int64_t begin, int64_t end);
  // batch_mean and batch_var in training, then scale and shift: per-instance numbers only
  void (*forward_coefficients)(const Problem<T>&, int64_t begin, int64_t end);
  // output: one read of the input, one write
  void (*normalize)(const Problem<T>&, int64_t sample, int64_t begin, int64_t end);
  // grad_sum and grad_moment: one read of input and gradient
  void (*gradient_sums)(const Problem<T>&, int64_t sample, int64_t begin, int64_t end);
  // the parameters' gradients, input_factor and offset: per-instance numbers only
  void (*backward_coefficients)(const Problem<T>&, int64_t begin, int64_t end);
  // grad_input: one read of input and gradient, one write
  void (*input_gradient)(const Problem<T>&, int64_t sample, int64_t begin, int64_t end);
};

struct KernelSet {
  Kernels<float> for_float32;
  Kernels<double> for_float64;
  Kernels<bfloat16> for_bfloat16;
};

// The passes compiled for an instruction set; null where the compiler has no such set.
const KernelSet* base_kernels();
const KernelSet* avx2_kernels();
const KernelSet* avx512_kernels();
const Kernels<bfloat16>* avx512_bf16_kernels();

}  // namespace binorm
