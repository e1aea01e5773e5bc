"""What the fault tests and the soak are made of."""
