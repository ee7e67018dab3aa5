"""Replicated and sharded training, in two and three processes, moves the gates as one process does."""

import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("training_worker.py")


@pytest.mark.parametrize("processes", [2, 3])
def test_gates_are_those_of_one_process(processes) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", WORKER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    checks = [line.split("(")[0].removeprefix("def ") for line in WORKER.read_text().splitlines()
              if line.startswith("def check_")]  # fmt: skip
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("passed")] == checks
