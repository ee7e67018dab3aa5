"""Batch-instance norms by name and class in timm's tables, for networks that are built with ``norm_layer=``."""

from binorm.modules import BatchInstanceNorm2d
from binorm.norm_act import BatchInstanceNormAct2d


def register_with_timm() -> None:
    """Have timm build networks with these layers, once in a process, before ``timm.create_model``.

    timm pairs norms with norm-and-activation layers by tables of its own, and refuses classes that are not in them.
    Afterwards ``norm_layer=`` takes ``binorm.BatchInstanceNorm2d``, a ``functools.partial`` of it, and the name
    ``"batchinstancenorm2d"``, with `BatchInstanceNormAct2d` where a network wants an activation in the norm.

    Raises:
        ImportError: without timm, and for a timm whose tables are elsewhere; converting a network that is built needs
            neither: ``binorm.convert_batch_norm(timm.create_model(...))``.

    Example:
        >>> binorm.register_with_timm()
        >>> model = timm.create_model("regnetx_002", norm_layer=binorm.BatchInstanceNorm2d)
    """
    import timm
    from timm.layers import create_norm, create_norm_act

    name = BatchInstanceNorm2d.__name__.lower()
    try:
        create_norm._NORM_MAP[name] = BatchInstanceNorm2d
        create_norm._NORM_TYPES.add(BatchInstanceNorm2d)
        for table in (create_norm_act._NORM_ACT_MAP, create_norm_act._NORM_TO_NORM_ACT_MAP):
            table[name] = BatchInstanceNormAct2d
        for types in (create_norm_act._NORM_ACT_TYPES, create_norm_act._NORM_ACT_REQUIRES_ARG):
            types.add(BatchInstanceNormAct2d)
    except AttributeError as error:
        raise ImportError(
            f"timm {timm.__version__} keeps its norms in other tables than 1.0 does ({error}): build the network with "
            "its batch norm, and convert it with binorm.convert_batch_norm"
        ) from error
