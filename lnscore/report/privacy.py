"""Keep paths out of a report: a folder's name is often a patient's."""

import re

PLACE = "[path]"

_ABSOLUTE = r"(?:[A-Za-z]:[\\/]|\\\\|/)"
_QUOTED = re.compile(rf"'{_ABSOLUTE}[^'\n]*'|\"{_ABSOLUTE}[^\"\n]*\"")
_BARE = re.compile(rf"(?<![^\s'\"(=]){_ABSOLUTE}[^\s'\"]+")


def without_paths(text: str, path: str = "") -> str:
    """Text of a refusal without the places that it names.

    Args:
        text: What was found, wanted, or is to be done.
        path: The file that was refused; its name and its folders' names go too, unless they
            are plain lower-case words such as `mask`, which the text may use as such.
    """
    parts = {part for part in re.split(r"[\\/!]", path) if _may_name_somebody(part)}
    for part in [path, *sorted(parts, key=len, reverse=True)]:
        if part:
            text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", PLACE, text)
    return _BARE.sub(PLACE, _QUOTED.sub(PLACE, text))


def _may_name_somebody(part: str) -> bool:
    return len(part) > 2 and not (part.isalpha() and part.islower())
