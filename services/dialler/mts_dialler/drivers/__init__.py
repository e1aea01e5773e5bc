"""What a meter type is, and how each is read."""
