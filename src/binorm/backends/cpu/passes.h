// The passes over values, and the table of all six for a type of them. Included once for each instruction set.
#pragma once

#include "activation.h"
#include "coefficients.h"
#include "moments.h"
#include "walk.h"

namespace {

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
    walk<T, 1>(
        tile,
        [&](auto block) {
          Affine<T, block.registers> state;
          state.load(p, tile.instance, block, true);
          return state;
        },
        [&](auto& state, int64_t i, int64_t c, int64_t some) __attribute__((always_inline)) {
          Vector<T> z = state.scale[c] * (load_up_to<T>(input + i, some) - state.mean[c]) + state.shift[c];
          if constexpr (kResidual) z += load_up_to<T>(residual + i, some);
          store_up_to<T>(output + i, activate<kKind>(z, slope), some);
        },
        kNothing, kNothing, kNothing);
  });
}

template <typename T, int64_t kRegisters>
struct GradientSums : Affine<T, kRegisters> {
  Vector<T> sums[kRegisters], moments[kRegisters];
};

// u and g = grad_output * activation'(z) at a position; g is left where the residual needs it.
template <typename T, Activation kKind, bool kResidual>
struct Gradient {
  const T *input, *residual, *grad_output;
  T* grad_residual;
  Scalar<T> slope;
  Vector<T> u, g;

  explicit Gradient(const Problem<T>& p)
      : input(p.input), residual(p.residual), grad_output(p.grad_output), grad_residual(p.grad_residual),
        slope(p.negative_slope) {}

  BINORM_INLINE void read(int64_t i, int64_t some, Vector<T> mean, Vector<T> scale, Vector<T> shift) {
    u = load_up_to<T>(input + i, some) - mean;
    g = load_up_to<T>(grad_output + i, some);
    if constexpr (kKind != Activation::identity) {
      Vector<T> z = scale * u + shift;
      if constexpr (kResidual) z += load_up_to<T>(residual + i, some);
      g *= slope_at<kKind>(z, slope);
    }
    if constexpr (kResidual) {  // as rounded: what is read again later should have these sums
      store_up_to<T>(grad_residual + i, g, some);
      g = load_up_to<T>(grad_residual + i, some);
    }
  }
};

// The sums of g and of g * u of kCount adjacent instances.
template <typename T, Activation kKind, bool kResidual, int64_t kCount>
void instance_gradient_sums(const Problem<T>& p, int64_t instance) {
  Gradient<T, kKind, kResidual> gradient(p);
  double sum[kCount] = {}, moment[kCount] = {};
  for (int64_t start = 0; start < p.space; start += kChunk) {
    Scalar<T> chunk_sum[kCount], chunk_moment[kCount];
    two_sums<T, kCount>(
        instance * p.space + start, p.space, least(p.space - start, kChunk), chunk_sum, chunk_moment,
        [&](int64_t j) {
          Affine<T, 1> state;
          state.load(p, instance + j, Block<T, false, 1>{0, kWhole}, kKind != Activation::identity);
          return state;
        },
        [&](const Affine<T, 1>& state, int64_t i, Integers<T> fresh, int64_t some, Vector<T>& sums,
            Vector<T>& moments) __attribute__((always_inline)) {
          gradient.read(i, some, state.mean[0], state.scale[0], state.shift[0]);
          const Vector<T> g = only<T>(fresh, gradient.g);
          sums += g;
          moments += g * gradient.u;
        });
    for (int64_t j = 0; j < kCount; ++j) sum[j] += chunk_sum[j], moment[j] += chunk_moment[j];
  }
  for (int64_t j = 0; j < kCount; ++j) p.grad_sum[instance + j] = sum[j], p.grad_moment[instance + j] = moment[j];
}

// The same for the channels of a panel.
template <typename T, Activation kKind, bool kResidual>
void panel_gradient_sums(const Problem<T>& p, const Tile<true>& tile) {
  Gradient<T, kKind, kResidual> gradient(p);
  Scalar<T> chunk_sum[kPanel], chunk_moment[kPanel];
  double sum[kPanel], moment[kPanel];  // of all chunks, where there are several
  const bool one_chunk = tile.space <= kChunkRows;
  for (int64_t c = 0; c < tile.channels; ++c) chunk_sum[c] = chunk_moment[c] = 0;
  for (int64_t c = 0; !one_chunk && c < tile.channels; ++c) sum[c] = moment[c] = 0;
  walk<T, kRowsAtOnce>(
      tile,
      [&](auto block) {
        GradientSums<T, block.registers> state;
        state.load(p, tile.instance, block, kKind != Activation::identity);
        for (int64_t k = 0; k < block.registers; ++k) {
          state.sums[k] = block.coefficient(chunk_sum, k);
          state.moments[k] = block.coefficient(chunk_moment, k);
        }
        return state;
      },
      [&](auto& state, int64_t i, int64_t c, int64_t some) __attribute__((always_inline)) {
        gradient.read(i, some, state.mean[c], state.scale[c], state.shift[c]);
        state.sums[c] += gradient.g;
        state.moments[c] += gradient.g * gradient.u;
      },
      [&](auto block, auto& state) {
        for (int64_t k = 0; k < block.registers; ++k) {
          block.keep(chunk_sum, k, state.sums[k]);
          block.keep(chunk_moment, k, state.moments[k]);
        }
      },
      [&] {
        for (int64_t c = 0; !one_chunk && c < tile.channels; ++c) {
          sum[c] += chunk_sum[c], moment[c] += chunk_moment[c];
          chunk_sum[c] = chunk_moment[c] = 0;
        }
      },
      kNothing);
  for (int64_t c = 0; c < tile.channels; ++c) {
    p.grad_sum[tile.instance + c] = one_chunk ? chunk_sum[c] : sum[c];
    p.grad_moment[tile.instance + c] = one_chunk ? chunk_moment[c] : moment[c];
  }
}

template <typename T, Activation kKind, bool kResidual>
void gradient_sums(const Problem<T>& p, int64_t n, int64_t begin, int64_t end) {
  if (p.channels_last)
    for_panels<T>(p, n, begin, end, [&](const Tile<true>& tile) { panel_gradient_sums<T, kKind, kResidual>(p, tile); });
  else
    for_groups<T>(begin, end, [&]<int64_t kCount>(int64_t c) {
      instance_gradient_sums<T, kKind, kResidual, kCount>(p, n * p.channels + c);
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
    walk<T, 1>(
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
        [&](auto& state, int64_t i, int64_t c, int64_t some) __attribute__((always_inline)) {
          const Vector<T> u = load_up_to<T>(input + i, some) - state.mean[c];
          Vector<T> g = load_up_to<T>(gradient + i, some);
          if constexpr (activated) g *= slope_at<kKind>(state.scale[c] * u + state.shift[c], slope);
          const Vector<T> dx = state.scale[c] * g + (state.factor[c] * u + state.offset[c]);
          store_up_to<T>(grad_input + i, dx, some);
        },
        kNothing, kNothing, kNothing);
  });
}

// Calls f.template operator()<kind>() for the activation of a call.
template <typename F>
BINORM_INLINE void with_activation(Activation kind, F f) {
  switch (kind) {
    case Activation::identity: return f.template operator()<Activation::identity>();
    case Activation::relu: return f.template operator()<Activation::relu>();
    case Activation::relu6: return f.template operator()<Activation::relu6>();
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

}  // namespace
