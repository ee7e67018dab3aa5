"""The report of experiments over several domains: a table over tasks, methods and norms, and what is behind it."""
