"""`python -m lnscore`: the same as the `lnscore` command."""

from lnscore.cli import main

main()
