"""What holds for every test of the repository: the servers of `mts_stack.fixtures`, no time limit on an example, and
which tests count towards the floor of coverage.
"""

from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["mts_stack.fixtures"]

# How long an example takes says more of the machine than of the code; pytest-timeout ends what hangs.
settings.register_profile("mts", deadline=None)
settings.load_profile("mts")

# The floor is on protocols and drivers. To trace the other tests, or examples by the thousand, doubles their time.
COVERING = Path(__file__).parent / "services" / "dialler" / "tests"
FUZZING = "test_hostile_"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent != COVERING or item.path.name.startswith(FUZZING):
            item.add_marker(pytest.mark.no_cover)
