"""`python -m lnscore`: the same as the `lnscore` command."""

from lnscore.cli.app import main

main()
