"""What holds for every test of the repository: the servers of `mts_stack.fixtures`, and no time limit on an example."""

from hypothesis import settings

pytest_plugins = ["mts_stack.fixtures"]

# How long an example takes says more of the machine than of the code; pytest-timeout ends what hangs.
settings.register_profile("mts", deadline=None)
settings.load_profile("mts")
