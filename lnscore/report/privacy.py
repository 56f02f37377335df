"""Remove paths from the texts of a report, because folders are often named after patients."""

import re

PLACE = "[path]"

_ABSOLUTE = r"(?:[A-Za-z]:[\\/]|\\\\|/)"
_QUOTED = re.compile(rf"'{_ABSOLUTE}[^'\n]*'|\"{_ABSOLUTE}[^\"\n]*\"")
_BARE = re.compile(rf"(?<![^\s'\"(=]){_ABSOLUTE}[^\s'\"]+")


def without_paths(text: str, path: str = "") -> str:
    """Return the text of a refusal with every path replaced.

    Args:
        text: Text on what was found or wanted, or on what to do.
        path: Path of the file that was refused. The names of the file and of its folders are
            replaced too, except plain lower-case words such as `mask`, which may be ordinary
            words of the text.
    """
    parts = {part for part in re.split(r"[\\/!]", path) if _may_name_somebody(part)}
    for part in [path, *sorted(parts, key=len, reverse=True)]:
        if part:
            text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", PLACE, text)
    return _BARE.sub(PLACE, _QUOTED.sub(PLACE, text))


def _may_name_somebody(part: str) -> bool:
    return len(part) > 2 and not (part.isalpha() and part.islower())
