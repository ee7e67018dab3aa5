// The passes for any processor.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels.h"

namespace {
constexpr int64_t kRegisterBytes = 16;
}
#include "passes.h"

const binorm::KernelSet* binorm::base_kernels() { return &kTable; }
