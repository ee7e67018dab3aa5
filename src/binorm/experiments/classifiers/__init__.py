"""Trained classifiers as others use them: one file each, found by name, fed with photographs, exported."""
