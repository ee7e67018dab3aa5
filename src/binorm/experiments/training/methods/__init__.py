"""Methods of domain adaptation and generalization by name: what is added to the classification of labelled pictures.

A new method is one file with one class, a `Method`, and one line here.
"""

from binorm.experiments.training.methods.cdan import CDAN
from binorm.experiments.training.methods.coral import DeepCoral
from binorm.experiments.training.methods.dann import DANN
from binorm.experiments.training.methods.method import DomainOutputs, Method
from binorm.experiments.training.methods.mixstyle import MixStyle

SOURCE_ONLY, ERM = "source-only", "erm"
METHODS: dict[str, type[Method]] = {
    SOURCE_ONLY: Method,
    ERM: Method,
    "dann": DANN,
    "cdan": CDAN,
    "coral": DeepCoral,
    "mixstyle": MixStyle,
}

__all__ = ["ERM", "METHODS", "SOURCE_ONLY", "DomainOutputs", "Method"]
