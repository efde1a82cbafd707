"""The trust report: one page that says in words and pictures how far a run may be believed."""
