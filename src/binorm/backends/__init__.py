"""Where the arithmetic happens: each module here computes batch-instance normalization in its own way."""
