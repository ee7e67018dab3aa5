"""What one kind of report alone shows: its rows, comparisons, gates and notes."""
