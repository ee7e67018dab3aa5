"""The report of style trainings: losses by norm beside the paper's order, gates, and pictures."""
