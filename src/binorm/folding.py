"""A word to those who fold a batch norm into a convolution: a gate below 1 would be lost."""

from typing import Any, NoReturn


class GuardedEps(float):
    """An eps that is a number to everyone, but refuses to be added to a variance.

    Whoever folds a norm into a convolution, or freezes it into constants, computes ``(running_var + eps)`` from the
    layer's attributes, often without asking what the layer is (``torch.nn.utils.fusion.fuse_conv_bn_eval``, timm's
    ``reparameterize_model``, exporters). A batch-instance norm with gates below 1 gives this instead of a plain float.
    Out of its reach is code that never adds: which hands eps to ``F.batch_norm``, or brings an eps of its own.
    """

    __array_ufunc__ = None  # NumPy then asks __radd__, too

    @classmethod
    def __torch_function__(cls, *_: Any, **__: Any) -> NoReturn:
        """Called by PyTorch for every operation of a tensor and this number."""
        raise RuntimeError(
            "this eps is that of a batch-instance norm with gates below 1, which no batch norm computes: folding or "
            "freezing it as one would drop the gates. Leave the layer as it is; where all gates are 1 or near, "
            "binorm.revert_to_batch_norm(model, tolerance=...) makes batch norms that fold. float(eps) is the number"
        )

    def __add__(self, other: object) -> NoReturn:
        """Refuse, with the reason."""
        self.__torch_function__()

    __radd__ = __add__
