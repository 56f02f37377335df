"""State the options of commands, each only once, in the annotation of a dataclass field.

    epochs: Annotated[int | None, Option(help="Number of epochs.", minimum=1)] = None

The field gives the name, the type and the default of the option. The command line
(`lnscore.cli.from_options`), the help and docs/cli.md are made from these statements. The record
of a run and the messages of refusals take the names of options from them.
"""

from dataclasses import dataclass, fields
from typing import Annotated, Any, get_args, get_origin, get_type_hints

DEFAULT_DB = "lnscore.db"
DEFAULT_JOBS = 1

RECORDED_IN = {
    "": "",
    "argv": "run",
    "flag": "run, without the value",
    "identity": "run.json",
    "values": "run.json",
}
"""Where the value of an option is recorded: key of `Option.recorded` to the text in docs/cli.md.

"run" is the row of the command in the database; with "flag" the value is left out, because it
may name a person. "run.json" is in the folder of a training, which can only be resumed with the
same values; "values" are those of the stage, and "identity" options identify the run.
"""


@dataclass(frozen=True, kw_only=True)
class Option:
    """Description of an option for the command line, in addition to its field.

    Attributes:
        help: Help text of one or more whole sentences; the command line adds the default.
        flag: Name on the command line; empty for the name of the field, such as `--split-seed`.
        short: Short name of one letter, such as `-j`; empty for none.
        metavar: Word for the value in the help.
        default: Description of the default, if the default of the field does not show it.
        choices: Accepted values, in upper or lower case; empty for no limit.
        minimum: Smallest number that is accepted.
        maximum: Largest number that is accepted.
        recorded: Key of `RECORDED_IN`; empty if the value is not recorded.
        inherited: Whether a semi-supervised run inherits the value from its source run.
    """

    help: str
    flag: str = ""
    short: str = ""
    metavar: str | None = None
    default: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    recorded: str = ""
    inherited: bool = False


def options_of(record: type) -> dict[str, tuple[Any, Option]]:
    """Return type and `Option` of every field of a dataclass that is an option, by field name."""
    hints = get_type_hints(record, include_extras=True)
    found = {}
    for field in fields(record):
        hint = hints[field.name]
        if get_origin(hint) is Annotated and isinstance(get_args(hint)[1], Option):
            found[field.name] = (get_args(hint)[0], get_args(hint)[1])
    return found


def flag_of(record: type, name: str) -> str:
    """Return the name of a field on the command line."""
    _, option = options_of(record)[name]
    return option.flag or f"--{name.replace('_', '-')}"


def recorded_in(record: type, place: str) -> tuple[str, ...]:
    """Return the names of the fields that are recorded in a place (see `RECORDED_IN`)."""
    return tuple(name for name, (_, one) in options_of(record).items() if one.recorded == place)


def inherited(record: type) -> tuple[str, ...]:
    """Return the names of the fields that a semi-supervised run inherits from its source run."""
    return tuple(name for name, (_, one) in options_of(record).items() if one.inherited)


def recorded_words(record: object) -> list[str]:
    """Return the options of a command that were given, as words for the run's row.

    Args:
        record: Instance of a dataclass of options. Flags that are off and options without a
            value are left out.
    """
    words: list[str] = []
    for name, (_, option) in options_of(type(record)).items():
        value = getattr(record, name)
        if option.recorded not in ("argv", "flag") or value in (None, "", ()) or value is False:
            continue
        words.append(flag_of(type(record), name))
        if option.recorded == "argv" and value is not True:
            words.append(str(value))
    return words
