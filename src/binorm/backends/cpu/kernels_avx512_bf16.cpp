// The passes over bfloat16 for processors with AVX-512 that have instructions for it.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
// After the standard headers, whose inline functions are linked into what runs anywhere.
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,prefer-vector-width=512")
#define BINORM_AVX512
#define BINORM_AVX512_BF16
namespace {
constexpr int64_t kRegisterBytes = 64;
}
#include "passes.h"

const binorm::Kernels<bfloat16>* binorm::avx512_bf16_kernels() {
  static constexpr Kernels<bfloat16> kernels = table<bfloat16>();
  return &kernels;
}
#else
const binorm::Kernels<binorm::bfloat16>* binorm::avx512_bf16_kernels() { return nullptr; }
#endif
