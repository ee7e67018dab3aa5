"""BINORM_BACKEND: which backend computes, what is said where it cannot; and the other tests with each of them.

Every test runs in child processes, as the variable is read once.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from binorm.backends import cpu

ROOT = Path(__file__).parents[2]
KERNELS = Path(cpu.__file__).with_name("kernels.so")
FREE = ("BINORM_BACKEND", "TRITON_INTERPRET", "ATEN_CPU_CAPABILITY", "PYTHONPATH")  # a child has what its test gives it

# Prints the backend that computed, and checks its output against the formula.
COMPUTE = """
import os, sys, torch, warnings
from binorm.backends import operator, reference, selection
from binorm.functional import batch_instance_norm

used = []
def spy(backend, name):
    compute = backend.batch_instance_norm
    backend.batch_instance_norm = lambda *arguments: (used.append(name), compute(*arguments))[1]
spy(operator, "kernels"), spy(reference, "reference")

dtype = getattr(torch, sys.argv[1])
torch.manual_seed(0)
x = torch.randn(4, 3, 5, 5).to(dtype)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(3):
        y = batch_instance_norm(x, torch.ones(3), training=True)
expected = torch.nn.functional.batch_norm(x.float(), None, None, training=True)
torch.testing.assert_close(y.float(), expected, rtol=1e-2, atol=1e-2)
assert len(set(used)) == 1
by_triton = "binorm.backends.triton" in sys.modules
print("triton" if used[0] == "kernels" and by_triton else used[0])
for warning in caught:
    print(f"{warning.category.__name__}: {warning.message}")
"""


def start(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in FREE}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={**inherited, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def computed(dtype: str = "float32", **environment: str) -> list[str]:
    """The backend's name, then the warnings."""
    child = start("-c", COMPUTE, dtype, **environment)
    assert child.returncode == 0, child.stderr
    return child.stdout.splitlines()


def error(dtype: str = "float32", **environment: str) -> str:
    child = start("-c", COMPUTE, dtype, **environment)
    assert child.returncode == 1
    return child.stderr.splitlines()[-1]


@pytest.fixture
def without_kernels(tmp_path) -> Path:
    """A copy of the package, as it is where the kernels were not built."""
    shutil.copytree(
        ROOT / "src/binorm",
        tmp_path / "binorm",
        ignore=shutil.ignore_patterns("kernels.so", "why_not_built.txt", "__pycache__", "experiments"),
    )
    return tmp_path / "binorm/backends/cpu"


def path_to(folder: Path) -> str:
    return str(folder.parents[2])


@pytest.mark.parametrize(("asked", "taken"), [(None, "kernels"), ("auto", "kernels"), ("cpu", "kernels")])
def test_asked_for_backend_computes(asked, taken) -> None:
    assert computed(**({} if asked is None else {"BINORM_BACKEND": asked})) == [taken]


def test_unknown_backend_names_the_known() -> None:
    assert error(BINORM_BACKEND="cuda") == (
        "ValueError: BINORM_BACKEND should be one of auto, reference, cpu, triton (got 'cuda')"
    )


def test_dtype_without_kernels_goes_to_the_reference_or_is_an_error_where_kernels_are_asked_for() -> None:
    assert computed("float16") == ["reference"]
    assert error("float16", BINORM_BACKEND="cpu").startswith(
        "RuntimeError: BINORM_BACKEND=cpu has no kernels for torch.float16 on cpu: unset it"
    )


def test_triton_computes_on_the_cpu_in_its_interpreter_only() -> None:
    pytest.importorskip("triton")
    assert computed(BINORM_BACKEND="triton", TRITON_INTERPRET="1") == ["triton"]
    assert error(BINORM_BACKEND="triton").startswith(
        "RuntimeError: BINORM_BACKEND=triton is not available: Triton does not compute on cpu"
    )


@pytest.mark.parametrize("reason", [None, "g++: command not found"])
def test_kernels_not_built_are_told_once_and_with_the_reason(without_kernels, reason) -> None:
    if reason is not None:
        (without_kernels / "why_not_built.txt").write_text(reason + "\n", encoding="utf-8")
    told = reason or "the installation did not build them"
    backend, *warned = computed(PYTHONPATH=path_to(without_kernels))
    assert backend == "reference"
    assert len(warned) == 1
    assert warned[0].startswith("RuntimeWarning: binorm computes on cpu in plain PyTorch")
    assert told in warned[0]
    assert "BINORM_BACKEND=reference asks for this without a warning" in warned[0]
    assert error(PYTHONPATH=path_to(without_kernels), BINORM_BACKEND="cpu") == (
        f"RuntimeError: BINORM_BACKEND=cpu is not available: {told}"
    )


def test_kernels_not_built_are_not_missed_by_those_who_ask_for_the_reference(without_kernels) -> None:
    assert computed(PYTHONPATH=path_to(without_kernels), BINORM_BACKEND="reference") == ["reference"]


def test_corrupt_kernels_are_told_and_passed_by(without_kernels) -> None:
    (without_kernels / "kernels.so").write_bytes(b"\x7fELF and then nothing that a loader knows")
    backend, *warned = computed(PYTHONPATH=path_to(without_kernels))
    assert backend == "reference"
    assert len(warned) == 1
    assert "kernels.so cannot be loaded" in warned[0]
    assert "kernels.so cannot be loaded" in error(PYTHONPATH=path_to(without_kernels), BINORM_BACKEND="cpu")


def test_warning_points_at_the_package_and_may_be_an_error(without_kernels) -> None:
    """As in the tests of a project that turns warnings into errors; the next call computes."""
    code = """
import torch, warnings
from binorm.functional import batch_instance_norm
warnings.simplefilter("error")
x, gate = torch.randn(2, 3, 4, 4), torch.ones(3)
try:
    batch_instance_norm(x, gate, training=True)
except RuntimeWarning as warning:
    print(warning)
"""
    child = start("-c", code, PYTHONPATH=path_to(without_kernels))
    assert child.returncode == 0, child.stderr
    assert "the installation did not build them" in child.stdout


def run_tests(*arguments: str, **environment: str) -> None:
    child = start("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, **environment)
    assert child.returncode == 0, child.stdout[-4000:] + child.stderr[-2000:]
    assert " passed" in child.stdout


# The interpreter is slow: some of every kind.
INTERPRETED = (
    "of_the_formula or gate_1_is_batch_norm or moves_the_running or "
    "(equals_its_parts and (silu or leaky_relu) and True) or nan_stays or any_layout_and_dtype or "
    "instance_is_constant or those_of_the_projected_gate"
)


def test_layers_pass_their_tests_with_the_triton_kernels() -> None:
    pytest.importorskip("triton")
    run_tests(
        "tests/test_functional.py", "tests/test_norm_act.py", "tests/test_constant_channels.py",
        "tests/test_gate_range.py", "-k", INTERPRETED,
        BINORM_BACKEND="triton", TRITON_INTERPRET="1",
    )  # fmt: skip


def test_layers_pass_their_tests_with_the_reference() -> None:
    run_tests(
        "tests/test_reference.py", "tests/test_functional.py", "tests/test_norm_act.py",
        "tests/test_constant_channels.py", "tests/test_gate_range.py", "-k", "not exact_as_its_parts",
        BINORM_BACKEND="reference",
    )  # fmt: skip


@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() == "DEFAULT", reason="there is one instruction set here")
@pytest.mark.parametrize("capability", ["avx2", "default"])
def test_kernels_pass_their_tests_with_other_instruction_sets(capability) -> None:
    run_tests("tests/backends/test_cpu.py", "-k", "not 2_31 and not huge", ATEN_CPU_CAPABILITY=capability)
