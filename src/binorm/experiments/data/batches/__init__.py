"""Batches of a data set, from memory or decoded as they are needed, augmented and normalized."""
