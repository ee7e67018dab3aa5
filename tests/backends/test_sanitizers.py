"""The C++ kernels built with the address and undefined-behaviour sanitizers, and run at every kind of tail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Optimised, or with the checks of every pointer that the address sanitizer has no need of, it takes minutes to build.
FLAGS = (
    "-fsanitize=address,undefined -fno-sanitize=null,alignment,object-size,pointer-overflow,vptr,return "
    "-fno-sanitize-recover=all -g1 -O0 -w"
)

# Torch asks malloc for as much as a tensor has, so that a read or write beyond its end is seen.
SCRIPT = """
import itertools, sys, torch
from binorm.backends import operator

torch.ops.load_library(sys.argv[1])
forward = torch.ops.binorm.batch_instance_norm.default
backward = torch.ops.binorm.batch_instance_norm_backward.default
update_running_statistics = torch.ops.binorm.update_running_statistics.default

contiguous = [
    (3, 5), (2, 3, 1), (3, 2, 3), (2, 2, 7), (2, 1, 3, 5), (1, 3, 37), (2, 2, 67), (1, 2, 2049), (2, 1, 5, 829),
    (2, 37, 3, 7), (1, 19, 67),
]
last = [
    (2, 1, 3, 2), (2, 3, 2, 2), (1, 7, 3, 3), (2, 9, 2, 2), (1, 19, 131, 1), (2, 37, 2, 3), (1, 67, 5, 26),
    (1, 2053, 3, 1),
]
cases = [(shape, torch.contiguous_format) for shape in contiguous] + [(shape, torch.channels_last) for shape in last]
kinds = [
    ("identity", False), ("identity", True), ("relu", True), ("relu6", True), ("leaky_relu", False), ("silu", True),
    ("gelu", False),
]

def random_values():
    return torch.randn(shape).to(dtype).contiguous(memory_format=layout)

ran = 0
for (shape, layout), dtype, (activation, residual), threads in itertools.product(
    cases, (torch.float32, torch.float64, torch.bfloat16), kinds, (1, 2)
):
    torch.set_num_threads(threads)
    training = threads == 1
    x, other, gradient = random_values(), random_values(), random_values()
    vectors = [torch.rand(shape[1]).to(torch.promote_types(dtype, torch.float32)) for _ in range(5)]
    arguments = [x, *vectors[:3], other if residual else None]
    given = (None, None) if training else vectors[3:]
    settings = (1e-5, activation, 0.1)
    output, statistics = forward(*arguments, *given, *settings)
    results = backward(gradient, *arguments, statistics, training, *settings)
    update_running_statistics(vectors[3], vectors[4], statistics, 0.1, 10)
    assert all(each.isfinite().all() for each in (output, *results))
    ran += 1
print(ran)
"""


def runtime_library(name: str) -> str:
    """Where g++ has it; a mere name comes back where it has not."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    found = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
    if not Path(found.strip()).is_absolute():
        pytest.skip(f"g++ has no {name} here")
    return found.strip()


def test_no_kernel_leaves_its_memory_or_the_language(tmp_path) -> None:
    runtimes = [runtime_library(name) for name in ("libasan.so", "libubsan.so")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "BINORM_BACKEND": "reference"}
    build = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", tmp_path / "lib", "--build-temp", tmp_path]
    flags = {"BINORM_CXXFLAGS": FLAGS, "BINORM_REQUIRE_KERNELS": "1"}
    built = subprocess.run(build, cwd=ROOT, env=environment | flags, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-4000:]
    kernels = tmp_path / "lib/binorm/backends/cpu/kernels.so"
    sanitizers = {"LD_PRELOAD": ":".join(runtimes), "ASAN_OPTIONS": "detect_leaks=0"}
    for capability in ("default", "avx2", "avx512"):  # the processor's best, where it does not have that
        child = subprocess.run(
            [sys.executable, "-c", SCRIPT, kernels],
            env=environment | sanitizers | {"ATEN_CPU_CAPABILITY": capability},
            capture_output=True,
            text=True,
            check=False,
        )
        assert child.returncode == 0, child.stderr[-4000:]
        assert int(child.stdout) == 19 * 3 * 7 * 2
