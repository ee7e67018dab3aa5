<<<<<<< HEAD
"""Trained networks set right for other pictures, and how they stand up to them."""
=======
"""A trained network made to withstand other light, cameras and scanners, without training it anew."""
>>>>>>> h-tune
