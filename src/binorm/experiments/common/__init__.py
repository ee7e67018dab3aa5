"""What every other part may use: errors, files, the terminal, tensors, threads, the machine."""
