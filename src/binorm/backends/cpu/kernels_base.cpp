// The passes for any processor.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels.h"

namespace {
constexpr int64_t kRegisterBytes = 16;
}
#include "passes.h"

const binorm::KernelSet* binorm::base_kernels() {
  static constexpr KernelSet set = {table<float>(), table<double>(), table<bfloat16>()};
  return &set;
}
