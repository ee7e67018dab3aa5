import torch

from binorm.experiments.common import machine


def test_machine_and_versions_are_described():
    described = machine.describe_machine()
    assert described["cores"] >= 1
    assert described["memory_gib"] > 0
    assert described["cpu"]
    assert torch.__version__.startswith(machine.describe_versions()["torch"])  # it may add the build, "+cu130"
