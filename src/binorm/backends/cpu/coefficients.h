// From statistics and sums to the numbers that the passes over values multiply and add: per-instance arithmetic only.
// Included once for each instruction set.
#pragma once

#include "walk.h"

namespace {

constexpr int64_t kChannelsAtOnce = 64;

// (var + eps)^-1/2; 0 where an instance has nothing to normalize: one value, or eps 0 and all values equal.
template <typename A>
BINORM_INLINE A inverse_root(A var, A eps, bool spread = true) {
  const A sum = var + eps;
  return spread && sum != 0 ? 1 / std::sqrt(sum) : 0;
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
      const double batch_part = rstd * moment[i], factor = gate[i] * weight[i] * rstd / values;
      p.grad_bias[begin + i] = sum[i];
      p.grad_weight[begin + i] = gate[i] * batch_part + (1 - gate[i]) * instance_part[i];
      p.grad_gate[begin + i] = weight[i] * (batch_part - instance_part[i]);
      // Selected, not multiplied by 0: in evaluation a NaN stays in its sample.
      mean_gradient[i] = p.training ? factor * sum[i] : 0;
      mean_moment[i] = p.training ? factor * rstd * rstd * moment[i] : 0;
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

}  // namespace
