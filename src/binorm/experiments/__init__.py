"""Train, compare and explain networks with batch-instance normalization and its rivals."""
