"""`python -m mts_client` is `mts`."""

from mts_client.cli import main

main()
