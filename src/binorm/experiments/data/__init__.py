"""The data sets by name."""

from binorm.experiments.data.catalog import DATASETS, domain_names, load, load_domains

__all__ = ["DATASETS", "domain_names", "load", "load_domains"]
