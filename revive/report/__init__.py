"""What a person sees of a run: the summary, the table, the pictures."""
