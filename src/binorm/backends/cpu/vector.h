// Registers of numbers, and how memory holds them, for the instruction set of the including file (kRegisterBytes).
//
// Built on the vector extension that GCC and Clang share. Everything is in an unnamed namespace: the same name is
// compiled once for each instruction set, and no function of one may be linked into another.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels.h"

namespace {

using binorm::bfloat16;

#define BINORM_INLINE inline __attribute__((always_inline))

// Arithmetic<T>: what values of T are computed in, and the registers of it.
template <typename T>
struct Arithmetic;

template <>
struct Arithmetic<double> {
  using Scalar = double;
  typedef double Vector __attribute__((vector_size(kRegisterBytes)));
  typedef int64_t Integer;
  typedef Integer Integers __attribute__((vector_size(kRegisterBytes)));
};

template <>
struct Arithmetic<float> {
  using Scalar = float;
  typedef float Vector __attribute__((vector_size(kRegisterBytes)));
  typedef int32_t Integer;
  typedef Integer Integers __attribute__((vector_size(kRegisterBytes)));
};

template <>
struct Arithmetic<bfloat16> : Arithmetic<float> {};

template <typename T>
using Scalar = typename Arithmetic<T>::Scalar;
template <typename T>
using Vector = typename Arithmetic<T>::Vector;
template <typename T>
using Integers = typename Arithmetic<T>::Integers;
template <typename T>
constexpr int64_t kLanes = kRegisterBytes / int64_t(sizeof(Scalar<T>));

typedef uint16_t HalfRegister __attribute__((vector_size(kRegisterBytes / 2)));
typedef uint32_t UnsignedRegister __attribute__((vector_size(kRegisterBytes)));

// GCC 12 takes registers apart and together again for conversions between vectors that are one instruction.
BINORM_INLINE UnsignedRegister widened(HalfRegister halves) {
#if defined(BINORM_AVX512)
  return (UnsignedRegister)_mm512_cvtepu16_epi32((__m256i)halves);
#elif defined(BINORM_AVX2)
  return (UnsignedRegister)_mm256_cvtepu16_epi32((__m128i)halves);
#else
  return __builtin_convertvector(halves, UnsignedRegister);
#endif
}

// To bfloat16, nearest even; NaN stays NaN.
BINORM_INLINE HalfRegister rounded(Vector<bfloat16> vector) {
#if defined(BINORM_AVX512_BF16)
  return (HalfRegister)_mm512_cvtneps_pbh((__m512)vector);  // numbers under 1.2e-38 become 0
#else
  const UnsignedRegister bits = (UnsignedRegister)vector;
  const UnsignedRegister nearest_even = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const UnsignedRegister quiet_nan = (bits >> 16) | 0x40u, chosen = vector == vector ? nearest_even : quiet_nan;
#if defined(BINORM_AVX512)
  return (HalfRegister)_mm512_cvtepi32_epi16((__m512i)chosen);
#else
  return __builtin_convertvector(chosen, HalfRegister);
#endif
#endif
}

// ---- memory <-> register

template <typename T>
BINORM_INLINE Vector<T> load(const T* from) {
  Vector<T> vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}

template <>
BINORM_INLINE Vector<bfloat16> load<bfloat16>(const bfloat16* from) {
  HalfRegister halves;
  std::memcpy(&halves, from, sizeof(halves));
  return (Vector<bfloat16>)(widened(halves) << 16);
}

template <typename T>
BINORM_INLINE void store(T* to, Vector<T> vector) {
  std::memcpy(to, &vector, sizeof(vector));
}

template <>
BINORM_INLINE void store<bfloat16>(bfloat16* to, Vector<bfloat16> vector) {
  const HalfRegister halves = rounded(vector);
  std::memcpy(to, &halves, sizeof(halves));
}

template <typename T>
BINORM_INLINE Scalar<T> load_one(const T* from) {
  return *from;
}

template <>
BINORM_INLINE float load_one<bfloat16>(const bfloat16* from) {
  const uint32_t bits = uint32_t(from->bits) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

template <typename T>
BINORM_INLINE void store_one(T* to, Scalar<T> value) {
  *to = value;
}

template <>
BINORM_INLINE void store_one<bfloat16>(bfloat16* to, float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  to->bits = uint16_t(value == value ? (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16 : (bits >> 16) | 0x40u);
}

// The first `count` lanes; the others are 0.
#if defined(BINORM_AVX512)
BINORM_INLINE Vector<float> load_some(const float* from, int64_t count) {
  return (Vector<float>)_mm512_maskz_loadu_ps(__mmask16((1u << count) - 1), from);
}

BINORM_INLINE Vector<double> load_some(const double* from, int64_t count) {
  return (Vector<double>)_mm512_maskz_loadu_pd(__mmask8((1u << count) - 1), from);
}

BINORM_INLINE Vector<bfloat16> load_some(const bfloat16* from, int64_t count) {
  const HalfRegister halves = (HalfRegister)_mm256_maskz_loadu_epi16(__mmask16((1u << count) - 1), from);
  return (Vector<bfloat16>)(widened(halves) << 16);
}

BINORM_INLINE void store_some(float* to, Vector<float> vector, int64_t count) {
  _mm512_mask_storeu_ps(to, __mmask16((1u << count) - 1), (__m512)vector);
}

BINORM_INLINE void store_some(double* to, Vector<double> vector, int64_t count) {
  _mm512_mask_storeu_pd(to, __mmask8((1u << count) - 1), (__m512d)vector);
}

BINORM_INLINE void store_some(bfloat16* to, Vector<bfloat16> vector, int64_t count) {
  _mm256_mask_storeu_epi16(to, __mmask16((1u << count) - 1), (__m256i)rounded(vector));
}
#else
template <typename T>
BINORM_INLINE Vector<T> load_some(const T* from, int64_t count) {
  T lanes[kLanes<T>] = {};
  std::memcpy(lanes, from, count * sizeof(T));
  return load<T>(lanes);
}

template <typename T>
BINORM_INLINE void store_some(T* to, Vector<T> vector, int64_t count) {
  T lanes[kLanes<T>];
  store<T>(lanes, vector);
  std::memcpy(to, lanes, count * sizeof(T));
}
#endif

// ---- lanes

template <typename T>
BINORM_INLINE Vector<T> broadcast(Scalar<T> value) {
  return Vector<T>{} + value;
}

template <typename T>
BINORM_INLINE Integers<T> lane_numbers() {
  Integers<T> lanes;
  for (int64_t i = 0; i < kLanes<T>; ++i) lanes[i] = i;
  return lanes;
}

template <typename T>
BINORM_INLINE bool any_lane(Integers<T> lanes) {
  int64_t words[kRegisterBytes / 8], any = 0;
  std::memcpy(words, &lanes, sizeof(words));
  for (int64_t word : words) any |= word;
  return any != 0;
}

// Lanes of a and b in turns of kWidth: the lower or the upper half of each run of 2 kWidth lanes.
template <int64_t kWidth, bool kUpper, typename V, size_t... kLane>
BINORM_INLINE V halves_of(V a, V b, std::index_sequence<kLane...>) {
  constexpr auto from = [](int64_t lane) {
    const int64_t turn = lane / kWidth, of_b = turn % 2 * int64_t(sizeof...(kLane));
    return of_b + (turn - turn % 2 + kUpper) * kWidth + lane % kWidth;
  };
  return __builtin_shufflevector(a, b, from(kLane)...);
}

// The first of kCount registers, a power of two, becomes their sums: lane i * lanes / kCount that of register i. Each
// register's lanes are added in the same order for any kCount: halves, then halves of these.
template <typename T, int64_t kCount, int64_t kWidth = kLanes<T> / 2>
BINORM_INLINE void add_lanes(Vector<T>* vectors) {
  if constexpr (kWidth > 0) {
    constexpr auto lanes = std::make_index_sequence<kLanes<T>>();
    constexpr int64_t pairs = kCount > 1 ? kCount / 2 : 1, partner = kCount > 1 ? pairs : 0;
    for (int64_t i = 0; i < pairs; ++i)
      vectors[i] = halves_of<kWidth, false>(vectors[i], vectors[i + partner], lanes) +
                   halves_of<kWidth, true>(vectors[i], vectors[i + partner], lanes);
    add_lanes<T, pairs, kWidth / 2>(vectors);
  }
}

// to[i] = the sum of register i's lanes.
template <typename T, int64_t kCount>
BINORM_INLINE void sums_of_lanes(Vector<T>* vectors, Scalar<T>* to) {
  add_lanes<T, kCount>(vectors);
  if constexpr (kCount == kLanes<T>)
    store<Scalar<T>>(to, vectors[0]);
  else
    for (int64_t i = 0; i < kCount; ++i) to[i] = vectors[0][i * (kLanes<T> / kCount)];
}

}  // namespace
