"""Videos through a trained style network."""
