"""The package: its names, and that it needs PyTorch alone."""

import json
import subprocess
import sys

import torch
from torch import nn

import binorm

IMPORT_AFTER_TORCH = """
import json, sys
import torch
before = set(sys.modules)
import binorm
added = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([sorted(added - sys.stdlib_module_names), sorted(sys.modules)]))
"""


def test_import_brings_in_nothing_but_torch() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_AFTER_TORCH], capture_output=True, text=True, check=True)
    added, loaded = json.loads(done.stdout)
    assert set(added) <= {"binorm", "torch"}
    assert not {"lightning", "torchvision", "rich", "matplotlib", "yaml", "binorm.experiments"} & set(loaded)


def test_every_public_name_exists() -> None:
    assert all(hasattr(binorm, name) for name in binorm.__all__)
    assert {"BatchInstanceNorm1d", "BatchInstanceNorm2d", "BatchInstanceNorm3d"} <= set(binorm.__all__)


def test_the_examples_in_the_docstrings_work() -> None:
    norm = binorm.BatchInstanceNorm2d(64)
    assert norm(torch.randn(8, 64, 32, 32)).shape == torch.Size([8, 64, 32, 32])
    model = nn.Sequential(nn.Conv2d(3, 64, 3), norm)
    torch.optim.SGD(binorm.param_groups(model, lr=0.1, weight_decay=1e-4), momentum=0.9)
