"""What this API reads of the views of results: statements apart from the others, for the views may be missing."""
