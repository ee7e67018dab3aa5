"""Pictures as they look elsewhere: the common corruptions, and shifts of style."""
