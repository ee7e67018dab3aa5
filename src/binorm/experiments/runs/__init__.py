"""The folder of a run: its files, lock, status and checkpoints, and reading it."""
