"""The thousand classes of ImageNet by the names that people read and by those that folders have."""

from functools import cache


@cache
def imagenet_classes() -> tuple[str, ...]:
    """What torchvision calls them, in the order of their labels."""
    from torchvision.models import ResNet18_Weights

    return tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


@cache
def imagenet_synsets() -> tuple[str, ...]:
    """Their folders' names, such as ``n01440764``, in the order of their labels; none without timm."""
    try:
        from timm.data.imagenet_info import ImageNetInfo
    except ImportError:
        return ()
    return tuple(ImageNetInfo("imagenet-1k").label_names())  # type: ignore[no-untyped-call]
