"""What MTS answered, as text for a terminal or a pipe."""
