"""Readers: one file for each published layout, and what they share."""
