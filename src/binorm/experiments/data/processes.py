"""Which of several processes this is, and what its share of the pictures and of the machine's cores is."""

import os
from typing import NamedTuple

import torch

from binorm.experiments.common.errors import UserError


class Process(NamedTuple):
    """The process number ``rank`` of ``world_size``."""

    rank: int = 0
    world_size: int = 1

    def share(self, total: int) -> slice:
        """A contiguous piece; the pieces of all processes make up the whole and differ by one at most."""
        return slice(total * self.rank // self.world_size, total * (self.rank + 1) // self.world_size)


WHOLE = Process()


def this_process() -> Process:
    """As torch.distributed says, else as torchrun does (``RANK`` and ``WORLD_SIZE``), else the only one.

    Raises:
        UserError: for ``RANK`` and ``WORLD_SIZE`` that are not a process's number and their count.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return Process(torch.distributed.get_rank(), torch.distributed.get_world_size())
    rank, world_size = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if not (rank.isdecimal() and world_size.isdecimal() and int(rank) < int(world_size)):
        raise UserError(f"RANK={rank} and WORLD_SIZE={world_size} are not a process's number and their count")
    return Process(int(rank), int(world_size))


def default_threads() -> int:
    """The cores that this process may use, shared among the processes that torchrun started on the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = os.environ.get("LOCAL_WORLD_SIZE") or "1"
    if not (processes.isdecimal() and int(processes)):
        raise UserError(f"LOCAL_WORLD_SIZE={processes} is not a number of processes")
    return max(1, cores // int(processes))
