"""How a shape is cut into programs."""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import triton
from torch import Tensor


class Plan(NamedTuple):
    """How a shape is cut into programs.

    Attributes:
        grid: one program for every block of instances and chunk of space.
        block: the constants of the kernels on that grid: see `blocks.locate`.
        chunks: how many programs share an instance.
        merge_grid: of the kernels that merge chunks and samples.
        merge: their constants.
    """

    grid: tuple[int]
    block: dict[str, Any]
    chunks: int
    merge_grid: tuple[int]
    merge: dict[str, Any]

    def room_for_chunks(self, merged: Tensor) -> Tensor:
        """Room for two numbers of each (chunk, sample, channel): (2, chunks·N + 1, C), with an idle row at the end.

        With one chunk that is the room for the merged numbers, (2, N + 1, C), whose last row is the batch's.
        """
        _, rows, channels = merged.shape
        return merged if self.chunks == 1 else merged.new_empty((2, self.chunks * (rows - 1) + 1, channels))


@lru_cache(maxsize=4096)
def plan_for(samples: int, channels: int, space: int, channels_last: bool) -> Plan:
    """Cut by shape alone. Only the number of programs may depend on ``samples``: the arithmetic must not."""
    positions = triton.next_power_of_2(space)
    alignment = math.gcd(channels if channels_last else space, 16)
    if channels_last:
        # 64 channels are whole cache lines in every dtype; small maps take more to fill a program. Up to 8 blocks share
        # the cost of the instances' coefficients.
        instances = min(triton.next_power_of_2(channels), max(64, 2048 // positions))
        positions = min(positions, max(1, 2048 // instances))
        tiles = min(8, triton.cdiv(space, positions))
        blocks = samples * triton.cdiv(channels, instances)
    elif max(alignment, positions // 32) < min(8, positions):
        # Small maps of odd sizes have narrow loads: a block as wide as the map would give each thread a few values of
        # many instances, and all their coefficients. Blocks as wide as 8 threads, one after another, give it two.
        width = min(alignment, 8)
        positions = min(positions, max(8 * width, positions // 8))
        instances = 256 * width // positions
        tiles = triton.cdiv(space, positions)
        blocks = triton.cdiv(samples * channels, instances)
    else:
        positions = min(positions, 4096)
        instances = max(1, min(512, 2048 // positions))
        tiles = 1
        blocks = triton.cdiv(samples * channels, instances)
    chunk = positions * tiles
    chunks = triton.cdiv(space, chunk)
    block = {
        "CHANNELS_LAST": channels_last,
        "ALIGNMENT": alignment,
        "INSTANCES": instances,
        "SPACE": positions,
        "TILES": tiles,
        "num_warps": 8 if instances * positions >= 4096 else 4,  # 16 values for each thread, or fewer
    }
    groups = 1 + (samples if chunks > 1 else 0)
    return Plan(
        grid=(blocks * chunks,),
        block=block,
        chunks=chunks,
        merge_grid=(triton.cdiv(channels, 8) * groups,),
        merge={"CHUNK": chunk, "ROWS": 256, "CHANNELS": 8, "num_warps": 8},  # 8 float32 values: a sector of memory
    )
