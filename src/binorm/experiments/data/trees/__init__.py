"""The files of a folder or archive as people have them: each once, and what their folders stand for."""
