"""The page that ``binorm serve`` shows in a browser: styles to draw pictures in, gates to look at, reports to read."""
