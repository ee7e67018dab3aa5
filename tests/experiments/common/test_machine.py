import pytest
import torch

from binorm.experiments.common import machine
from binorm.experiments.common.machine import EnergyCounter


def test_machine_and_versions_are_described():
    described = machine.describe_machine()
    assert described["cores"] >= 1
    assert described["memory_gib"] > 0
    assert described["cpu"]
    assert torch.__version__.startswith(machine.describe_versions()["torch"])  # it may add the build, "+cu130"


def _package(folder, name, microjoules, most=10_000_000, kind="package-0"):
    zone = folder / name
    zone.mkdir(exist_ok=True)
    (zone / "name").write_text(f"{kind}\n")
    (zone / "energy_uj").write_text(f"{microjoules}\n")
    (zone / "max_energy_range_uj").write_text(f"{most}\n")


def test_energy_is_that_of_all_packages_also_when_a_counter_starts_anew(tmp_path):
    for name in ("intel-rapl:0", "intel-rapl:1"):
        _package(tmp_path, name, 9_000_000)
    _package(tmp_path, "intel-rapl:0:0", 9_000_000, kind="core")  # a part of the first
    _package(tmp_path, "intel-rapl:2", 9_000_000, kind="psys")  # holds both
    counter = EnergyCounter(tmp_path)
    assert counter.joules() == 0
    _package(tmp_path, "intel-rapl:0", 9_500_000)
    assert counter.joules() == pytest.approx(0.5)
    _package(tmp_path, "intel-rapl:2", 9_900_000, kind="psys")
    _package(tmp_path, "intel-rapl:1", 999_999)
    assert counter.joules() == pytest.approx(2.5)


def test_a_machine_that_counts_no_energy_says_none(tmp_path):
    assert EnergyCounter(tmp_path / "nothing").joules() is None
    _package(tmp_path, "intel-rapl:0", 5)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("secret")
    assert EnergyCounter(tmp_path).joules() is None
