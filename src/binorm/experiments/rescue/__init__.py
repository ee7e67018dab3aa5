"""A trained network under other light, cameras and weather: how it fails there, and what mends it."""
