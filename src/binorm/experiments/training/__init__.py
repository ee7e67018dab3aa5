"""From a recipe to a trained network in the folder of a run."""
