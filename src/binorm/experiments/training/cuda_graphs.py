"""Training passes as CUDA graphs: recorded once, replayed at every step without launching kernel by kernel."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.batches.batches import TrainingBatches
from binorm.experiments.training.settings import Settings
from binorm.experiments.training.task import Training


class CudaGraphs(Callback):
    """Records forward and backward pass of the network when training starts; evaluation stays as it is.

    Args:
        training: of batches in memory, which all have one shape.
        settings: that it computes in.

    Raises:
        UserError: for other kinds of batches.
    """

    def __init__(self, training: Training, settings: Settings) -> None:
        if type(training.batches) is not TrainingBatches:
            raise UserError(
                "CUDA graphs need the pictures of one data set in memory: choose --compile auto or --compile no"
            )
        self.batches, self.network, self.settings = training.batches, training.network, settings

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record; the passes that warm up leave no trace in running statistics and generators."""
        pictures, _ = next(iter(self.batches))
        before = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        self.network.train()
        autocast = torch.autocast("cuda", torch.bfloat16, self.settings.precision == "bfloat16", cache_enabled=False)
        with autocast, torch.random.fork_rng(range(torch.cuda.device_count())):
            torch.cuda.make_graphed_callables(self.network, (pictures,))
        with torch.no_grad():
            for name, buffer in self.network.named_buffers():
                buffer.copy_(before[name])
