"""Style transfer: networks that draw pictures in a style, how they are trained, and how they are used."""
