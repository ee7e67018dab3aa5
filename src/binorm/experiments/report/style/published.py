"""The paper's losses of style transfer, as plain facts.

Source: Nam & Kim, "Batch-Instance Normalization for Adaptively Style-Invariant Neural Networks", NeurIPS 2018
(arXiv 1805.07925): read off the curves of its figure of style transfer.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedLoss:
    """A loss of the paper's networks, by norm.

    Attributes:
        unit: what the figures are multiples of.
        tolerance: how exactly they could be read off the figure.
        values: one for each of `ITERATIONS`, by norm.
    """

    unit: str
    tolerance: float
    values: Mapping[str, tuple[float, ...]]


ITERATIONS = (50_000, 100_000, 200_000, 234_000)
LOSSES = {
    "content": PublishedLoss(
        unit="1",
        tolerance=0.02,
        values={
            "bn": (5.40, 4.87, 4.57, 4.50),
            "in": (4.32, 3.99, 3.80, 3.75),
            "bn+in": (4.42, 4.03, 3.82, 3.77),
            "bin": (4.26, 3.93, 3.73, 3.68),
        },
    ),
    "style": PublishedLoss(
        unit="1e-5",
        tolerance=0.01,
        values={
            "bn": (2.12, 1.99, 1.87, 1.85),
            "in": (1.72, 1.60, 1.50, 1.46),
            "bn+in": (1.88, 1.73, 1.60, 1.57),
            "bin": (1.78, 1.64, 1.53, 1.51),
        },
    ),
}
