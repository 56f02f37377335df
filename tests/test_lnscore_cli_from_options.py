"""Commands that are made from dataclasses of options (lnscore.cli.from_options)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner

from lnscore.cli.from_options import takes
from lnscore.command_options import Option, flag_of, inherited, recorded_in, recorded_words


@dataclass(frozen=True, kw_only=True)
class Drink:
    kind: Annotated[
        Literal["tea", "coffee"],
        Option(help="Tea.", choices=("tea", "coffee"), recorded="argv"),
    ] = "tea"
    spoons: Annotated[int, Option(help="Sugar.", minimum=0, maximum=3, recorded="argv")] = 1
    milk: Annotated[bool, Option(help="With milk.", flag="--with-milk", recorded="argv")] = False
    guests: Annotated[tuple[str, ...], Option(help="Who.", inherited=True)] = ()
    receipt: Annotated[Path | None, Option(help="File.", recorded="flag")] = None
    given: frozenset[str] = frozenset()


@pytest.fixture
def order():
    """Run the command: exit code, the record that it received."""
    app, received = typer.Typer(), []

    @app.command()
    @takes(Drink)
    def serve(drink: Drink, table: Annotated[int, typer.Argument()], hot: bool = True) -> None:
        received.append((drink, table, hot))

    def run(*words: str) -> tuple[int, tuple[Drink, int, bool] | None]:
        received.clear()
        return CliRunner().invoke(app, list(words)).exit_code, received[0] if received else None

    return run


def test_without_options_the_record_has_its_defaults(order) -> None:
    assert order("4") == (0, (Drink(), 4, True))


def test_every_option_reaches_its_field(order) -> None:
    words = ["4", "--kind", "coffee", "--spoons", "2", "--with-milk", "--guests", "a"]
    code, (drink, _, hot) = order(*words, "--guests", "b", "--no-hot")
    assert (code, hot) == (0, False)
    assert (drink.kind, drink.spoons, drink.milk, drink.guests) == ("coffee", 2, True, ("a", "b"))


def test_what_was_given_is_known_even_where_it_is_the_default(order) -> None:
    assert order("4", "--spoons", "1")[1][0].given == {"spoons"}


def test_a_choice_is_taken_in_any_case_of_letters(order) -> None:
    assert order("4", "--kind", "COFFEE")[1][0].kind == "coffee"


@pytest.mark.parametrize("words", [("--kind", "beer"), ("--spoons", "4"), ("--spoons", "x")])
def test_what_does_not_fit_is_a_usage_error(order, words) -> None:
    assert order("4", *words) == (2, None)


def test_an_option_is_named_by_its_flag() -> None:
    assert [flag_of(Drink, name) for name in ("spoons", "milk")] == ["--spoons", "--with-milk"]


def test_the_record_of_a_run_has_what_was_given_without_values_that_may_name_a_person() -> None:
    drink = Drink(spoons=0, milk=True, receipt=Path("anna.pdf"))
    assert recorded_words(drink) == ["--kind", "tea", "--spoons", "0", "--with-milk", "--receipt"]


def test_options_are_listed_by_where_they_are_recorded_and_whether_they_are_inherited() -> None:
    assert recorded_in(Drink, "argv") == ("kind", "spoons", "milk")
    assert inherited(Drink) == ("guests",)
