"""The tasks by name: what a training step computes."""

from binorm.experiments.training.tasks.classification import Classification
from binorm.experiments.training.tasks.domains import DomainClassification

TASKS: dict[str, type[Classification]] = {
    "classification": Classification,
    "mixed": DomainClassification,
    "adaptation": DomainClassification,
    "generalization": DomainClassification,
}
