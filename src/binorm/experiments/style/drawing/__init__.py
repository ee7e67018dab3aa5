"""Pictures through a trained style network: fast, and of any size."""
