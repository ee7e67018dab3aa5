"""The GPU's kernels of the operator ``binorm::batch_instance_norm``, in Triton.

A tensor is a table of N·C instances (one per sample and channel) by S positions in space. A program works on blocks of
INSTANCES x SPACE values: its instances are neighbours in memory in the channels-last layout, its positions in the
contiguous one. Both layouts share every line but those of `blocks.locate`. Each pass is three launches:

- forward: statistics of every chunk of an instance; their merges into instances and batch; the output.
- backward: two sums of every chunk; their merges into instances and the gradients of the vectors; the input's gradient.

Instances of one chunk need no merge: their statistics are those of the chunk. Chunks depend on C, S and the layout,
never on N, so that in evaluation a sample's output is the same bits whatever else is in its batch. There are no
atomics: the same input gives the same bits. Arithmetic is float32 (float64 for float64), written out with `tl.fma`
where the backward pass computes a value of the forward pass again.

With ``TRITON_INTERPRET=1`` the kernels run on the CPU.
"""

import os

import torch

DTYPES = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})


def load(device: str) -> None:
    """Register the kernels for a type of device.

    Raises:
        ImportError: where Triton is not installed, or does not compute on such a device.
    """
    if device != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        raise ImportError(f"Triton does not compute on {device} (only with TRITON_INTERPRET=1, slowly, for tests)")
    from binorm.backends.operator import library
    from binorm.backends.triton import launch

    key = "CUDA" if device == "cuda" else "CPU"
    library.impl("batch_instance_norm", launch.forward, key)
    library.impl("batch_instance_norm_backward", launch.backward, key)
    library.impl("update_running_statistics", launch.update_running_statistics, key)
