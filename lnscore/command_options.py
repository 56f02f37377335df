"""Options of commands, each stated once: beside the dataclass field that holds its value.

    epochs: Annotated[int | None, Option(help="Epochs to train.", minimum=1)] = None

The name, the type and the default are the field's. The command line is made from these
statements (`lnscore.cli.from_options`), and with it the help and docs/cli.md; the record of a run
and the text of a refusal name an option by them.
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
"""Where the value of an option is recorded, in the words of docs/cli.md.

"run" is the command's row in the database; "flag" leaves out a value that may name a person.
"run.json" lies in the folder of a training, which can only be resumed with the same values;
there the "values" are those of the stage, and the rest identifies the run.
"""


@dataclass(frozen=True, kw_only=True)
class Option:
    """What the command line needs to know of an option beside its field.

    Attributes:
        help: One or more whole sentences; the default is added by the command line.
        flag: Name on the command line; by default the field's, as `--split-seed`.
        short: One letter, as `-j`.
        metavar: Word for the value in the help.
        default: Description of the default, where the field's own default does not say it.
        choices: The only values that are accepted, in any case of letters; empty for no limit.
        minimum: Smallest number that is accepted.
        maximum: Largest number that is accepted.
        recorded: Key of `RECORDED_IN`; empty where the value is not recorded.
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
    """Return type and statement of every field of a dataclass that is an option, by its name."""
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
        record: An instance of a dataclass of options; flags that are off and options without a
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
