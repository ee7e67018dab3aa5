// The passes for processors with AVX-512.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
// After the standard headers, whose inline functions are linked into what runs anywhere.
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma,prefer-vector-width=512")
#define BINORM_AVX512
namespace {
constexpr int64_t kRegisterBytes = 64;
}
#include "passes.h"

const binorm::KernelSet* binorm::avx512_kernels() {
  static constexpr KernelSet set = {table<float>(), table<double>(), table<bfloat16>()};
  return &set;
}
#else
const binorm::KernelSet* binorm::avx512_kernels() { return nullptr; }
#endif
