"""The run-time type checker of the tests.

An int is a float where PEP 484 says so; Typer asks for its own context and gives the class below.
"""

import typer
from beartype import BeartypeConf, FrozenDict, beartype

checked = beartype(
    conf=BeartypeConf(
        is_pep484_tower=True,
        hint_overrides=FrozenDict({typer.Context: typer.Context.__mro__[1]}),
    )
)
