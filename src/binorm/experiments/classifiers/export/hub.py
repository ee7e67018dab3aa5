"""Classifiers as folders for a hub: weights, configuration and model card, which ``binorm.load`` reads."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import binorm
from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.files import classifier_bytes, load_classifier
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import require_writable, write_bytes_atomically
from binorm.experiments.common.onnx_files import check_same, require_export_packages
from binorm.experiments.common.picture_names import is_hidden
from binorm.experiments.common.run_files import WEIGHTS_FILE
from binorm.experiments.common.text import all_printable, printable

CONFIG_FILE, CARD_FILE = "config.json", "README.md"

_CARD = """---
{{ card_data }}
---

# {{ title }}

An image classifier with batch-instance normalization, for [binorm](https://pypi.org/project/binorm/).

```text
{{ facts }}
```

```python
import binorm

model = binorm.load("hf-hub:USER/NAME")  # or this folder; in evaluation mode
pixels = model.preprocessing.read(open("photo.jpg", "rb").read())
logits = model(model.preprocessing.normalize(pixels[None]))
print(model.classes[logits.argmax()])
```

The names of the classes are in `config.json`, in the order of the outputs. Say here what the network was trained
on, what it is for, and its licence.
"""


def export_hub(classifier: Classifier, folder: Path) -> int:
    """Write a folder with ``model.safetensors``, ``config.json`` and ``README.md``; nothing is sent anywhere.

    The network read back from the weights has computed, bit for bit, what the classifier computes. Weights are
    stored as they are: gates can be calibrated and tuned further.

    Returns:
        The size of the files in bytes.

    Raises:
        UserError: without ``huggingface_hub``; for a folder with files in it; if what is read back is something else;
            and if it cannot be written.
    """
    require_export_packages(("huggingface_hub",))
    if folder.is_dir() and any(not is_hidden(each.name) for each in folder.iterdir()):
        raise UserError(f"{folder} has files in it, which would be mixed up with the new ones: name a new folder")
    content = {
        WEIGHTS_FILE: _weights(classifier),
        CONFIG_FILE: json.dumps(_config(classifier), indent=1).encode() + b"\n",
        CARD_FILE: _card(classifier).encode(),
    }
    require_writable(folder)
    for name, data in content.items():
        write_bytes_atomically(folder / name, data)
    return sum(map(len, content.values()))


def _weights(classifier: Classifier) -> bytes:
    """The content of the file of weights, after it was read back and tried."""
    data = classifier_bytes(classifier)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / WEIGHTS_FILE
        path.write_bytes(data)
        again = load_classifier(path)
    height, width = classifier.preprocessing.height, classifier.preprocessing.width
    batch = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    check_same(again, classifier, [batch], 0.0, "binorm.load")
    return data


def _config(classifier: Classifier) -> dict[str, Any]:
    card = classifier.card
    fields = {
        "library": "binorm",
        "library_version": binorm.__version__,
        "network": card.network,
        "norm": card.norm,
        "classes": list(card.classes),
        "preprocessing": asdict(card.preprocessing),
        "origin": card.origin,
    }
    made: dict[str, Any] = all_printable(fields)
    return made


def _card(classifier: Classifier) -> str:
    """The text of the model card; what stands in it from outside stands in a block of code, a line each."""
    from huggingface_hub import ModelCard, ModelCardData

    card, preprocessing = classifier.card, classifier.preprocessing
    facts = {
        "network": card.network,
        "norm": card.norm,
        "classes": str(len(card.classes)),
        "pictures": f"{preprocessing.width}x{preprocessing.height} pixels, RGB, {preprocessing.interpolation}",
        "origin": card.origin or "unknown",
    }
    data = ModelCardData(
        library_name="binorm",
        pipeline_tag="image-classification",
        tags=["image-classification", "batch-instance-normalization", "domain-generalization"],
    )
    shown = "\n".join(f"{name:10}{printable(value)}" for name, value in facts.items())
    title = f"{printable(card.network).replace('_', '-')}, {len(card.classes)} classes"
    return str(ModelCard.from_template(data, template_str=_CARD, title=title, facts=shown))
