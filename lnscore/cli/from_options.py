"""Make the parameters of a command from dataclasses of options (see `lnscore.command_options`)."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, fields
from functools import wraps
from typing import Annotated, Any, get_args, get_origin

import typer

from lnscore.command_options import Option, flag_of, options_of

CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
GIVEN = "given"
"""Field of a dataclass of options that receives the names of the options on the command line."""


def takes(*records: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one parameter for each option of some dataclasses.

    The decorated function receives one instance of each dataclass, in order, before its own
    parameters, which are passed by name.

    Args:
        records: Dataclasses whose options the command has. No two may have a field of the same
            name.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function).parameters.values())[len(records) :]
        names = [one.name for one in own]
        made = [parameter for record in records for parameter in _parameters(record)]
        context = [] if CONTEXT.name in names else [CONTEXT]
        parameters = _in_order([*context, *made, *own])

        @wraps(function)
        def command(**given: Any) -> None:  # noqa: ANN401
            built = [_built(record, given, given[CONTEXT.name]) for record in records]
            function(*built, **{name: given[name] for name in names})

        command.records = records  # pyright: ignore[reportAttributeAccessIssue] - for docs/cli.md
        command.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return decorate


def _in_order(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    """Sort parameters without a default (those that must be given) before the others."""
    named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    return sorted(named, key=lambda one: one.default is not inspect.Parameter.empty)


def _parameters(record: type) -> list[inspect.Parameter]:
    defaults = {field.name: field.default for field in fields(record)}
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(defaults[name]),
            annotation=_annotation(record, name, kind, option, defaults[name]),
        )
        for name, (kind, option) in options_of(record).items()
    ]


def _default(value: Any) -> Any:  # noqa: ANN401
    if value is MISSING:
        return inspect.Parameter.empty
    return None if value == () else value


def _annotation(record: type, name: str, kind: Any, option: Option, default: Any) -> Any:  # noqa: ANN401
    flags = [flag_of(record, name), *([option.short] if option.short else [])]
    shown: bool | str = option.default or (default not in (None, "", ()) and default is not False)
    described = typer.Option(
        *flags,
        help=option.help,
        metavar=option.metavar,
        min=option.minimum,
        max=option.maximum,
        show_default=shown,
    )
    return Annotated[str if option.choices else _cli_type(kind), described]  # see `chosen`


def _cli_type(kind: Any) -> Any:  # noqa: ANN401
    """Return the type for the command line: a list for an option that is a tuple of values."""
    return list[get_args(kind)[0]] | None if get_origin(kind) is tuple else kind


def _built(record: type, given: dict[str, Any], context: typer.Context) -> Any:  # noqa: ANN401
    values: dict[str, Any] = {}
    for name, (kind, option) in options_of(record).items():
        value = given[name]
        if get_origin(kind) is tuple:
            value = tuple(value or ())
        elif option.choices:
            value = chosen(flag_of(record, name), value, option.choices)
        values[name] = value
    if any(field.name == GIVEN for field in fields(record)):
        values[GIVEN] = frozenset(_on_command_line(values, context))
    return record(**values)


def chosen(flag: str, value: str, choices: Sequence[str]) -> str:
    """Return the choice in its stated spelling; upper and lower case do not matter.

    Raises:
        typer.BadParameter: There is no such choice.
    """
    for choice in choices:
        if choice.casefold() == value.casefold():
            return choice
    known = ", ".join(choice for choice in choices if choice)
    raise typer.BadParameter(f"{flag} {value}: give one of {known}")


def _on_command_line(names: Iterable[str], context: typer.Context) -> list[str]:
    return [
        name
        for name in names
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
