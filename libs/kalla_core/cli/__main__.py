"""`python -m kalla_core.cli`, where the `kalla` command is not on the path."""

from kalla_core.cli import main

main()
