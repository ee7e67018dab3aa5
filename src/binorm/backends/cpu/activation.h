// Activations and their slopes on registers. Included once for each instruction set, after vector.h.
#pragma once

#include "vector.h"

namespace {

using binorm::Activation;

// e^x, 0 below -87 and infinite above 88; relative error 2e-7. By e^x = 2^k e^r, |r| <= ln(2)/2, and e^r by its series.
BINORM_INLINE Vector<float> exponential(Vector<float> x) {
  const Vector<float> zero = {}, infinity = broadcast<float>(__builtin_inff());
  const Vector<float> magic = broadcast<float>(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const Vector<float> k = (x * 1.44269504f + magic) - magic;
  const Vector<float> r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  Vector<float> sum = broadcast<float>(1.0f / 5040);
  constexpr float terms[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
  for (float term : terms) sum = sum * r + term;
  const Integers<float> exponent = (__builtin_convertvector(k, Integers<float>) + 127) << 23;
  const Vector<float> result = x > 88.0f ? infinity : sum * (Vector<float>)exponent;
  return x < -87.0f ? zero : (x == x ? result : x);
}

// The error function; absolute error 2e-7. Up to 1 a Chebyshev fit of erf(x)/x in x², beyond it 1 - e^(-x²) times one
// of e^(x²) erfc(x) in 1/(1 + 0.4 x).
BINORM_INLINE Vector<float> error_function(Vector<float> x) {
  const Vector<float> size = x < 0 ? -x : x, square = x * x, t = 1.0f / (1.0f + 0.4f * size);
  Vector<float> inner = broadcast<float>(-9.67359043e-06f), outer = broadcast<float>(-0.195258169f);
  constexpr float inner_terms[] = {1.12682538e-04f, -8.48439653e-04f, 5.22105341e-03f, -2.68654383e-02f,
                                   1.12837826e-01f, -3.76126385e-01f, 1.12837917f};
  constexpr float outer_terms[] = {0.71186618f, -0.407958755f, 0.524660261f,
                                   0.125017167f, 0.243093247f, -0.0012745654f};
  for (float term : inner_terms) inner = inner * square + term;
  for (float term : outer_terms) outer = outer * t + term;
  const Vector<float> far = 1.0f - exponential(-square) * outer;
  return size < 1.0f ? x * inner : (x < 0 ? -far : far);
}

// float64 calls the mathematical library lane by lane.
BINORM_INLINE Vector<double> exponential(Vector<double> x) {
  for (int64_t i = 0; i < kLanes<double>; ++i) x[i] = std::exp(x[i]);
  return x;
}

BINORM_INLINE Vector<double> error_function(Vector<double> x) {
  for (int64_t i = 0; i < kLanes<double>; ++i) x[i] = std::erf(x[i]);
  return x;
}

constexpr double kRootHalf = 0.70710678118654752440;           // sqrt(1/2)
constexpr double kNormalDensityAtZero = 0.39894228040143267794;  // 1 / sqrt(2 pi)

template <Activation kKind, typename V, typename S>
BINORM_INLINE V activate(V z, S negative_slope) {
  if constexpr (kKind == Activation::relu)
    return z < 0 ? V{} : z;
  else if constexpr (kKind == Activation::relu6)
    return z < 0 ? V{} : (z > 6 ? V{} + S(6) : z);
  else if constexpr (kKind == Activation::leaky_relu)
    return z < 0 ? z * negative_slope : z;
  else if constexpr (kKind == Activation::silu)
    return z / (S(1) + exponential(-z));
  else if constexpr (kKind == Activation::gelu)
    return S(0.5) * z * (S(1) + error_function(z * S(kRootHalf)));
  else
    return z;
}

// activation'(z)
template <Activation kKind, typename V, typename S>
BINORM_INLINE V slope_at(V z, S negative_slope) {
  if constexpr (kKind == Activation::relu) {
    return z <= 0 ? V{} : V{} + S(1);
  } else if constexpr (kKind == Activation::relu6) {
    return z <= 0 ? V{} : (z >= 6 ? V{} : V{} + S(1));
  } else if constexpr (kKind == Activation::leaky_relu) {
    return z <= 0 ? V{} + negative_slope : V{} + S(1);
  } else if constexpr (kKind == Activation::silu) {
    const V sigmoid = S(1) / (S(1) + exponential(-z));
    return sigmoid * (S(1) + z * (S(1) - sigmoid));
  } else if constexpr (kKind == Activation::gelu) {
    const V density = S(kNormalDensityAtZero) * exponential(S(-0.5) * z * z);
    return S(0.5) * (S(1) + error_function(z * S(kRootHalf))) + z * density;
  } else {
    return V{} + S(1);
  }
}

}  // namespace
