"""Where randomness comes from: seeds that depend on what is drawn, not on what else drew before."""

import numpy


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for one epoch of one run; different for every pair of small numbers."""
    return seed * 1_000_003 + epoch


def picture_generator(seed: int, epoch: int, rank: int, position: int) -> numpy.random.Generator:
    """The generator of one picture's augmentation: the one at ``position`` of an epoch in the process ``rank``."""
    return numpy.random.default_rng((seed, epoch, rank, position))
