"""Folders as ``binorm robustness`` writes them, with answers as a test wants them."""

import torch

from binorm.experiments.rescue.methods import METHODS
from binorm.experiments.rescue.robustness_folder import CLEAN, Case, begin, write_answers

SOME = (("gaussian_noise", 40), ("fog", 50), ("saturate", 60), ("dark", 45))


def write_results(
    folder,
    methods=("none", "calibrated"),
    models=("lite",),
    seeds=1,
    shifts=SOME,
    severities="turns",
    pictures=100,
    gain=10,
    record=None,
):
    """As trained, 80 of 100 clean pictures are right, and of each shift's as many as stand beside its name.

    Each further method has ``gain`` more of the shifted ones, and each seed one more.
    """
    labels = torch.arange(pictures) % 10
    candidates = [
        {
            "id": f"{model}:{method}:{seed}" if METHODS[method].calibrates else f"{model}:{method}",
            "group": f"{model}:{method}",
            "model": model,
            "method": method,
            "title": METHODS[method].title,
            "seed": seed,
            "batch": 50,
            "place": place,
        }
        for model in models
        for place, method in enumerate(methods)
        for seed in range(seeds if METHODS[method].calibrates else 1)
    ]
    setting = {
        "test pictures": f"{pictures} (ab)",
        "calibration pictures": "none",
        "models": list(models),
        "candidates": sorted(each["id"] for each in candidates),
        "regime": "stream",
        "batch": 50,
        "severities": severities,
        "precision": "float32",
    }
    facts = ("name", "title", "source", "summary", "batch", "calibrates")
    begin(
        folder,
        {
            "version": 1,
            "command": "binorm robustness lite --images photos",
            "setting": setting,
            "data": {"source": "photos", "pictures": pictures, "classes": 10, "fingerprint": "ab"},
            "calibration": "64 of the pictures of photos",
            "models": [{"name": model, "network": "timm:lite", "norm": "bn"} for model in models],
            "methods": [{name: getattr(METHODS[method], name) for name in facts} for method in methods],
            "candidates": candidates,
            "remarks": [],
            "device": "cpu",
            "versions": {"torch": "2"},
            "machine": {"cpu": "Example CPU", "cores": 2},
        }
        | (record or {}),
        labels,
    )
    ids = [each["id"] for each in candidates]
    for shift, right in ((CLEAN, 80), *shifts):
        wanted = [0] if shift == CLEAN else [None] if severities == "turns" else severities
        for severity in wanted:
            answers = {"severity": _severity(severity, pictures)}
            for each in candidates:
                more = 0 if shift == CLEAN else gain * each["place"] + each["seed"]
                correct = torch.arange(pictures) * 100 // pictures < right + more - 5 * (severity or 0)
                answers[f"{each['id']}.predicted"] = torch.where(correct, labels, labels + 1)
                answers[f"{each['id']}.confidence"] = torch.full((pictures,), 0.7)
            seconds = {"seconds": dict.fromkeys(ids, 0.01 * pictures), "preparing": dict.fromkeys(ids, 2.5)}
            write_answers(folder, Case(shift, severity), answers, seconds | {"memory_mib": 512.0})
    return folder


def _severity(severity, pictures):
    return 1 + torch.arange(pictures) % 5 if severity is None else torch.full((pictures,), severity)
