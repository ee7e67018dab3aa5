"""Run by test_processes.py: all checks in several processes at once. ``python processes.py COUNT RENDEZVOUS``."""

import sys

import pytest  # noqa: F401 - what the checks import, once for all processes
import torch.distributed.checkpoint.state_dict
import torch.distributed.fsdp
import torch.distributed.optim  # noqa: F401
from torch import distributed, multiprocessing

import binorm  # noqa: F401


def run(rank: int, processes: int, rendezvous: str) -> None:
    """Import the checks, which ask for their rank, and run them; the first process tells which passed."""
    distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=processes)
    import sync_checks
    import training_checks

    for module in (sync_checks, training_checks):
        for name, check in module.CHECKS.items():
            check()
            distributed.barrier()
            if rank == 0:
                print("passed", name, flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    count, place = int(sys.argv[1]), sys.argv[2]
    multiprocessing.start_processes(run, (count, place), nprocs=count, start_method="fork")
