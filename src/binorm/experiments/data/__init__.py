"""The data sets by name."""

from binorm.experiments.data.catalog import DATASETS, load

__all__ = ["DATASETS", "load"]
