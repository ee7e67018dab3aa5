"""From run folders to what people read: tables, figures, the report of one recipe, the table of several."""
