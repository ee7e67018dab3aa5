"""Classifiers and photographs so small that a test takes no time."""

import torch
from photo_trees import encode, photograph

from binorm.experiments.classifiers.classifier import Card, Classifier
from binorm.experiments.data.batches.preprocessing import Preprocessing
from binorm.experiments.models import create

CLASSES = ("cat", "dog", "owl")
PREPROCESSING = Preprocessing(16, 16, 18, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))


def classifier(norm="bin", classes=CLASSES, network="resnet8"):
    """A network whose statistics and gates are all different, gates of the first layer but for it all 1."""
    torch.manual_seed(0)
    made = create(network, len(classes), norm)
    gates = [name for name, _ in made.named_parameters() if name.endswith("gate")]
    for name, tensor in (*made.named_parameters(), *made.named_buffers()):
        if name.endswith("running_var"):
            tensor.data.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            tensor.data.normal_(0, 0.1)
        elif name in gates:
            tensor.data.fill_(0.6 if name == gates[0] else 1.0)
    return Classifier(made, Card(network, norm, classes, PREPROCESSING, origin="a test"))


def write_photographs(folder, labelled=True, each=2, classes=CLASSES):
    """``<class>/<k>.jpg``, or ``<class>-<k>.jpg``; returns their names."""
    names = []
    for label, name in enumerate(classes):
        for k in range(each):
            path = folder / (f"{name}/{k}.jpg" if labelled else f"{name}-{k}.jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(photograph((label, k), (24, 20))))
            names.append(str(path.relative_to(folder)))
    return names
