"""Recipes: what an experiment trains, on what, and how. One YAML file each; every field can be overridden."""

KINDS = {
    "classification": "classification",
    "mixed": "domains",
    "adaptation": "domains",
    "generalization": "domains",
    "stylization": "stylization",
}
