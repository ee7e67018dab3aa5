"""Trained networks set right for other pictures, and how they stand up to them."""
