"""Every test of the repository may ask for the servers of `mts_stack.fixtures`."""

pytest_plugins = ["mts_stack.fixtures"]
