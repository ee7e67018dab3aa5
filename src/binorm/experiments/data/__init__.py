"""The data sets by name."""

from binorm.experiments.data.catalog import domain_names, load, load_domains
from binorm.experiments.data.entries import DATASETS

__all__ = ["DATASETS", "domain_names", "load", "load_domains"]
