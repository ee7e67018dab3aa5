"""How test pictures come to a network, and what each candidate says of them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from binorm.experiments.rescue.candidates import Prepared

AT_ONCE = 50  # pictures in a batch where the batch changes nothing but the speed
NOT_A_NUMBER = -1  # the class that is predicted by what is none


@dataclass(frozen=True)
class Regime:
    """An order of pictures, and what is forgotten when.

    Every shift and severity begins with everything forgotten.

    Attributes:
        name: as on the command line.
        summary: for reports.
        batch: pictures in a batch; 0 where this is to be chosen.
        by_label: whether pictures of one class come one after the other, rather than in an order by chance.
        alone: whether everything is forgotten after each batch.
        ahead: whether all batches are seen once before any answer counts.
    """

    name: str
    summary: str
    batch: int = 0
    by_label: bool = False
    alone: bool = False
    ahead: bool = False

    def order(self, labels: Tensor) -> Tensor:
        """Places of the pictures, (N,), in the order in which they come: the same for equal labels."""
        shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
        return shuffled[labels[shuffled].argsort(stable=True)] if self.by_label else shuffled


REGIMES = {
    each.name: each
    for each in (
        Regime("stream", "pictures come in batches in an order by chance, and each batch is answered as it comes"),
        Regime("label-sorted", "as a stream, but pictures of one class come one after the other", by_label=True),
        Regime("single", "each picture comes alone, and is forgotten after its answer", batch=1, alone=True),
        Regime("offline", "all pictures of a shift are seen once, in batches, before the answers count", ahead=True),
    )
}


class Asked:
    """A candidate while one shift's pictures come to it.

    Args:
        prepared: the candidate; what it learned of batches before is forgotten now.
        regime: what is forgotten when.
        batch: pictures in a batch, for methods to which it matters.
        count: how many pictures there are.
        autocast: the context to compute in.
    """

    def __init__(self, prepared: Prepared, regime: Regime, batch: int, count: int, autocast: torch.autocast) -> None:
        self.candidate, self.adapted = prepared.candidate, prepared.adapted
        self.learns = self.candidate.method.batch
        self._alone = regime.alone and self.learns
        self._batch = batch if self.learns else AT_ONCE
        self._autocast = autocast
        self.seconds = 0.0
        self.predicted = torch.full((count,), NOT_A_NUMBER)
        self.confidence = torch.full((count,), torch.nan)
        self.adapted.reset()

    def answer(self, places: Tensor, pictures: Tensor) -> None:
        """Classify pictures, (n, 3, H, W), normalized, which have these places, (n,), among all."""
        parts = zip(torch.split(places, self._batch), torch.split(pictures, self._batch), strict=True)
        for some, batch in parts:
            probabilities = self._logits(batch).softmax(dim=1)
            confidence, predicted = probabilities.max(dim=1)
            self.confidence[some] = confidence
            self.predicted[some] = torch.where(confidence.isfinite(), predicted, NOT_A_NUMBER)

    def see(self, pictures: Tensor) -> None:
        """Let the method learn of pictures, as in `answer`, whose answers do not count."""
        for batch in torch.split(pictures, self._batch):
            self._logits(batch)

    def tensors(self) -> Mapping[str, Tensor]:
        """The answers, for a file: class, int64 (N,), and confidence, float32 (N,)."""
        return {f"{self.candidate.id}.predicted": self.predicted, f"{self.candidate.id}.confidence": self.confidence}

    def _logits(self, batch: Tensor) -> Tensor:
        """Float32, (n, classes), on the CPU."""
        started = time.perf_counter()
        # What a method learns by gradients cannot come from inference mode.
        with torch.inference_mode(not self.learns), torch.no_grad(), self._autocast:
            logits = self.adapted(batch).float().cpu()
        if self._alone:
            self.adapted.reset()
        self.seconds += time.perf_counter() - started
        return logits
