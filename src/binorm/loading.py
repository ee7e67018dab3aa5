"""One line from a file to a trained classifier."""

import importlib
import os

from torch import nn


def load(path: str | os.PathLike[str]) -> nn.Module:
    """Read a trained classifier: of `binorm train` or `compare`, calibrated or tuned, or exported for a hub.

    Args:
        path: a ``model.safetensors``, which needs no other file; a folder with one, such as a run's; or
            ``hf-hub:USER/NAME``.

    Returns:
        A `binorm.experiments.classifiers.classifier.Classifier` in evaluation mode: from normalized pictures,
        (N, 3, H, W), to logits, (N, classes); with the names of these in ``classes``, and ``preprocessing``, which
        reads and normalizes pictures as it expects them.

    Raises:
        ImportError: without the extra ``binorm[experiments]``.
        binorm.experiments.common.errors.UserError: for a file that is not there, is damaged or holds something else.

    Example:
        >>> model = binorm.load("runs/digits/bin/seed0/model.safetensors")
        >>> pixels = model.preprocessing.read(Path("seven.png").read_bytes())
        >>> model.classes[model(model.preprocessing.normalize(pixels[None])).argmax()]
        '7'
    """
    try:
        module = importlib.import_module("binorm.experiments.classifiers.files")
    except ModuleNotFoundError as error:
        raise ImportError(f"binorm.load needs {error.name}: pip install 'binorm[experiments]'") from error
    classifier: nn.Module = module.load_classifier(path)
    return classifier
