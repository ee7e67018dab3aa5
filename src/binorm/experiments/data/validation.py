"""A share of the training pictures held out, so that choices need not be made on the test set."""

import dataclasses

import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.recipes.base import VALIDATION


def hold_out(dataset: Dataset, share: float) -> Dataset:
    """Move ``share`` of the training pictures to an evaluation set named ``validation``, after the others.

    The same pictures for every norm, seed and machine: they are drawn class by class from a fixed seed, at least one of
    each class that has two. A share of 0 changes nothing.

    Raises:
        UserError: for a data set that is streamed or has a validation set of that name already.
    """
    if share == 0:
        return dataset
    if not isinstance(dataset.train, ImageSet):
        raise UserError(f"{dataset.name} is streamed from disk and cannot be split: leave --validation out")
    if VALIDATION in dataset.evaluation:
        raise UserError(f"{dataset.name} has a validation set of its own: leave --validation out")
    labels = dataset.train.labels
    generator = torch.Generator().manual_seed(0)
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(len(dataset.classes)):
        places = (labels == label).nonzero()[:, 0]
        count = min(max(round(share * len(places)), 1), len(places) - 1) if len(places) > 1 else 0
        held[places[torch.randperm(len(places), generator=generator)[:count]]] = True
    parts = [ImageSet(dataset.train.images[mask], labels[mask]) for mask in (~held, held)]
    evaluation = {**dataset.evaluation, VALIDATION: parts[1]}
    return dataclasses.replace(dataset, train=parts[0], evaluation=evaluation)
