"""Trained classifiers in files that others open without binorm: ONNX, torch.export, and a folder for a hub."""
