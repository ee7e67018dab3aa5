// The passes for processors with AVX2 and FMA.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
// After the standard headers, whose inline functions are linked into what runs anywhere.
#pragma GCC target("avx2,fma")
#define BINORM_AVX2
namespace {
constexpr int64_t kRegisterBytes = 32;
}
#include "passes.h"

const binorm::KernelSet* binorm::avx2_kernels() {
  static constexpr KernelSet set = {table<float>(), table<double>(), table<bfloat16>()};
  return &set;
}
#else
const binorm::KernelSet* binorm::avx2_kernels() { return nullptr; }
#endif
