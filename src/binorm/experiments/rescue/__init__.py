"""A trained network made to withstand other light, cameras and scanners, without training it anew."""
