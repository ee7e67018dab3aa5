"""The tasks: what a training step computes."""
