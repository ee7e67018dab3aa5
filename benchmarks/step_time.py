"""How long a step takes: what the benchmarks of training steps share."""

import time
from collections.abc import Callable

STEP_SECONDS = 0.5  # a round repeats the step until it took so long


def seconds(step: Callable[[], None]) -> float:
    """Of one step, the mean over a round."""
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < STEP_SECONDS or count == 0:
        step()
        count += 1
    return elapsed / count
