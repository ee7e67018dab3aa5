"""The tasks by name: what a training step computes."""

from binorm.experiments.tasks.classification import Classification

TASKS = {"classification": Classification}
