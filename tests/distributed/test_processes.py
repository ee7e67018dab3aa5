"""Two and three processes see what one sees: synchronised statistics, and gates in replicated and sharded training."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_together_equal_one_with_the_whole_batch(processes, tmp_path) -> None:
    command = [sys.executable, HERE / "processes.py", str(processes), tmp_path / "rendezvous"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    checks = [
        name
        for module in ("sync_checks.py", "training_checks.py")
        for name in re.findall(r"^def (check_\w+)\(\) -> None:$", (HERE / module).read_text(), re.MULTILINE)
    ]
    assert len(checks) == 17
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("passed")] == checks
