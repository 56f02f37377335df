"""Write docs/cli.md from the commands themselves: `python -P -m lnscore.cli.reference FILE`.

A test checks that docs/cli.md is current, byte by byte.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from lnscore.cli.app import app
from lnscore.command_options import RECORDED_IN, options_of

HEAD = """# Commands

This page is for everybody who types `lnscore` commands or writes them into a script. It is made
from the commands themselves by `make docs`; do not edit it by hand.

`lnscore COMMAND --help` shows the same on a terminal. Settings come from the options, then from
`LNSCORE_*` variables ([install.md](install.md)), then from the defaults. Progress and notes go to
standard error. With `--json` a command prints one JSON document on standard output. The form of
the document does not depend on the other options.

The last column of the tables shows where the value is recorded. "run" is the row of the command in
the database. "run.json" is the file in the folder of a training; a training can only be resumed
with the same values.

| Exit code | Meaning |
|-|-|
| 0 | The command is done, or there was nothing to do. |
| 1 | An error stopped it. |
| 2 | The command line cannot be understood. |
| 3 | It is done, but some studies were refused or failed. |
| 4 | The engine cannot be used. |
| 5 | Another run holds the database. |
"""


def reference() -> str:
    """Return the text of the page."""
    return "\n".join([HEAD, *(_section(name, one) for name, one in commands())])


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command, and every group that is a command too, with its full name."""

    def walk(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
        for name, command in group.commands.items():
            inner = hasattr(command, "commands")
            if not inner or command.invoke_without_command:
                yield prefix + name, command
            if inner:
                yield from walk(command, f"{prefix}{name} ")

    return walk(typer.main.get_command(app), "")


def _section(name: str, command: Any) -> str:  # noqa: ANN401
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    words = [_word(one) for one in arguments] + ["[OPTIONS]"]
    lines = [
        f"## lnscore {name}",
        "",
        _help(command.help),
        "",
        f"`lnscore {' '.join([name, *words])}`",
        "",
    ]
    if arguments:
        lines += ["| Argument | Meaning |", "|-|-|"]
        lines += [f"| `{_word(one)}` | {_help(one.help)} |" for one in arguments]
        lines.append("")
    lines += ["| Option | Meaning | Default | Recorded in |", "|-|-|-|-|"]
    recorded = _recorded(command)
    return "\n".join([*lines, *(_row(one, recorded.get(one.name, "")) for one in options), ""])


def _row(option: Any, recorded: str) -> str:  # noqa: ANN401
    flags = ", ".join(f"`{flag}`" for flag in option.opts)
    value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    cells = [f"{flags}{_cell(value)}", _help(option.help), _default(option), RECORDED_IN[recorded]]
    return f"| {' | '.join(cells)} |"


def _default(option: Any) -> str:  # noqa: ANN401
    if isinstance(option.show_default, str):
        return _cell(option.show_default)
    if option.required:
        return "must be given"
    default = option.default() if callable(option.default) else option.default
    return "" if default in (None, False, "", (), []) else f"`{default}`"


def _recorded(command: Any) -> dict[str, str]:  # noqa: ANN401
    """Return where each option of a command is recorded, by the name of the option."""
    records = getattr(command.callback, "records", ())
    return {
        name: option.recorded
        for record in records
        for name, (_, option) in options_of(record).items()
    }


def _word(argument: Any) -> str:  # noqa: ANN401
    word = argument.metavar or argument.name.upper()
    many = "..." if argument.nargs == -1 else ""
    return f"{word}{many}" if argument.required else f"[{word}{many}]"


def _help(text: str | None) -> str:
    return _cell(re.sub(r"\s+", " ", text or "").strip())


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
