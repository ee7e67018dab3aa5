"""Shifts of batches: the same bits from one process and from several, in order."""

import os
import signal
import threading
from concurrent.futures import CancelledError

import numpy as np
import pytest
import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.shifts import shifting
from binorm.experiments.shifts.catalog import SHIFTS, Shift
from binorm.experiments.shifts.shifting import Shifting, turn_severities


def pictures(count=7, height=32, width=40):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 3, height, width), dtype=np.uint8))


def kill_this_process(picture, severity, seed):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def processes_at_once(monkeypatch):
    """Even the few pictures of a test go to other processes, two at a time."""
    monkeypatch.setattr(shifting, "_WORTH_PROCESSES", 0)
    monkeypatch.setattr(shifting, "_CHUNK_VALUES", 2 * 3 * 32 * 40)


def test_turns_give_every_severity_to_equally_many():
    severities = torch.stack([turn_severities(10, place) for place in range(5)])
    assert severities[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert severities[0].tolist() == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
    assert severities.dtype == torch.int64


def test_each_picture_at_its_severity():
    given, severities = pictures(), turn_severities(7, 2)
    with Shifting(1) as shifted:
        result = shifted(SHIFTS["haze"], given, severities)
    for before, after, severity in zip(given, result, severities.tolist(), strict=True):
        assert np.array_equal(after.permute(1, 2, 0), SHIFTS["haze"](before.permute(1, 2, 0).numpy(), severity))
    assert result.is_contiguous()


def test_other_processes_compute_the_same_bits(processes_at_once):
    """Of every shift, in another order; an error there is told here, and a process that is killed too."""
    given = pictures()
    severities = torch.tensor([1, 2, 4, 5, 1, 2, 4])  # at 3 glass blur would be compiled once more, in each process
    alone = Shifting(1)
    with Shifting(2) as shifted:
        for shift in reversed(SHIFTS.values()):
            assert torch.equal(shifted(shift, given, severities), alone(shift, given, severities)), shift.name
        with pytest.raises(UserError, match="severity 9"):
            shifted(SHIFTS["dark"], given, 9)
        assert len(shifted(SHIFTS["dark"], given, 5)) == 7
        with pytest.raises(UserError, match="the shift deadly was killed"):
            shifted(Shift("deadly", "style", kill_this_process), given, 1)


def test_a_chunk_that_nobody_waits_for_is_left(monkeypatch):
    stop = threading.Event()
    monkeypatch.setattr(shifting, "_stop", stop)
    with Shifting(1) as shifted:
        assert len(shifted(SHIFTS["dark"], pictures(), 1)) == 7
        stop.set()
        with pytest.raises(CancelledError):
            shifted(SHIFTS["dark"], pictures(), 1)


def test_few_pictures_start_no_process(monkeypatch):
    monkeypatch.setattr(shifting, "ProcessPoolExecutor", None)
    with Shifting(2) as shifted:
        assert shifted(SHIFTS["dark"], pictures(), 1).shape == (7, 3, 32, 40)
        assert shifted(SHIFTS["dark"], pictures(0), 1).shape == (0, 3, 32, 40)


@pytest.mark.parametrize(
    ("given", "severity", "message"),
    [
        (torch.zeros(2, 3, 32, 32), 1, r"torch.float32 \(2, 3, 32, 32\): expected pictures"),
        (torch.zeros(2, 32, 32, 3, dtype=torch.uint8), 1, "expected pictures"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.ones(3, dtype=torch.int64), "one of each"),
        (torch.zeros(2, 3, 7, 50, dtype=torch.uint8), 1, "50x7 pixels"),
    ],
)
def test_refused(given, severity, message):
    with pytest.raises(UserError, match=message), Shifting(1) as shifted:
        shifted(SHIFTS["dark"], given, severity)


def test_no_processes():
    with pytest.raises(UserError, match="processes is 0: expected 1 or more"):
        Shifting(0)
