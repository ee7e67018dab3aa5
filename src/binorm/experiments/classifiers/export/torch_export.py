"""Classifiers as files of ``torch.export``, checked before they are written."""

import io
import json
from pathlib import Path

import torch
from torch import fx

from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.export.deployed import Choices, Written, trace
from binorm.experiments.common.files import write_bytes_atomically

FACTS = "binorm.json"  # among the extra files of the archive


def export_torch(classifier: Classifier, path: Path, choices: Choices) -> Written:
    """Write a ``.pt2`` that ``torch.export.load`` reads: pictures, (N, 3, H, W) float32 -> logits, (N, classes).

    What the file says of itself is its extra file ``binorm.json``. What was read back from it has computed what the
    classifier computes, at several sizes.

    Raises:
        UserError: where it cannot be traced, if the file computes something else, and if it cannot be written.
    """
    program = trace(classifier, choices)
    for module in program.traced.graph_module.modules():
        if isinstance(module, fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)  # tells of this machine's files
    file = io.BytesIO()
    torch.export.save(program.traced, file, extra_files={FACTS: json.dumps(program.facts)})
    data = file.getvalue()
    difference = program.check(torch.export.load(io.BytesIO(data)).module(), "torch.export")
    write_bytes_atomically(path, data)
    return Written(len(data), program.any_size, difference)
