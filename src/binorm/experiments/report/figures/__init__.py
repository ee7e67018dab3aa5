"""Draws the figures of reports: plain data in, the bytes of a file out."""
