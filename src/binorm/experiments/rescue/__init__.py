<<<<<<< HEAD
"""Trained networks set right for other pictures, and how they stand up to them."""
=======
"""A trained network under other light, cameras and weather: how it fails there, and what mends it."""
>>>>>>> h-shifts
