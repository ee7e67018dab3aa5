// The passes over values, and the table of all six. Included once for each instruction set.
#pragma once

#include "activation.h"
#include "coefficients.h"
#include "moments.h"
#include "walk.h"

namespace {

using binorm::KernelSet;
using binorm::Kernels;

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
    for (int64_t c = 0; (!one_chunk || channels == 1) && c < tile.channels; ++c) sum[c] = moment[c] = 0;
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
            chunk_sum[0] = sum_of_four<T>(state.sums);
            chunk_moment[0] = sum_of_four<T>(state.moments);
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
