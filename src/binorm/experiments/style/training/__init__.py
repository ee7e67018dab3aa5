"""How a style is learned."""
