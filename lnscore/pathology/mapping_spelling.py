"""Translates a table's spelling of a station into its code: aliases, merged groups, sides."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lnscore.pathology.headings import compared
from lnscore.stations import vocabulary

OTHER_SIDE = {"R": "L", "L": "R"}


class UnknownSide(Exception):
    """A word for a side that the mapping does not explain."""


@dataclass
class Spelling:
    """What a mapping says about the spelling of stations.

    Attributes:
        aliases: Code, or several codes joined by `+`, for each text of the table.
        sides: `R`, `L`, `ipsi` or `contra` for each word of the table.
        right: Words of the tumour's side that mean right.
        left: Words of the tumour's side that mean left.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    sides: Mapping[str, str] = field(default_factory=dict)
    right: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Convert aliases and words to the form for comparison."""
        self._aliases = {compared(text): code for text, code in self.aliases.items()}
        self._sides = {compared(side): side for side in ("R", "L", "ipsi", "contra")}
        self._sides |= {compared(word): side for word, side in self.sides.items()}
        self._tumour = {compared(word): "R" for word in self.right}
        self._tumour |= {compared(word): "L" for word in self.left}
        self._known: dict[tuple[str, ...], str] = {}

    def spelled(
        self, system: str, text: str, *, side: str = "", tumour: str = "", joined_by: str = ""
    ) -> str:
        """Return the code, or codes joined by `+`; an unknown text stays as it is.

        Args:
            system: Name of the system as the table has it.
            text: Text of the station in the table or the mapping.
            side: Word for the side; empty if the text contains the side.
            tumour: Word for the side of the tumour, by which ipsi and contra become R or L.
            joined_by: Text that joins merged stations in this table, in addition to `+`.

        Raises:
            UnknownSide: If a word is neither a side nor explained in the mapping.
        """
        key = (system, text, side, tumour, joined_by)
        if key not in self._known:
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[key] = self._spelled(*key)
        return self._known[key]

    def _spelled(self, system: str, text: str, side: str, tumour: str, joined_by: str) -> str:
        text = self._aliases.get(compared(text), text)
        if joined_by:
            text = text.replace(joined_by, "+")
        parts = [self._aliases.get(compared(part), part.strip()) for part in text.split("+")]
        if not (side := side.strip()) and not tumour.strip():
            return "+".join(parts)
        wanted = self._side(side) if side else ""
        of_tumour = self._side_of_tumour(tumour)
        name = vocabulary.system_of(system)
        return "+".join(
            _sided(name, part, wanted, of_tumour) for part in "+".join(parts).split("+")
        )

    def _side(self, word: str) -> str:
        if (side := self._sides.get(compared(word))) is None:
            raise UnknownSide(word)
        return side

    def _side_of_tumour(self, word: str) -> str:
        if not word.strip():
            return ""
        if not (side := self._tumour.get(compared(word), "")):
            raise UnknownSide(word)
        return side


def _sided(system: str | None, text: str, side: str, of_tumour: str) -> str:
    """Return the code of a station on a side; text and side joined if there is no such code."""
    if system is None:
        return f"{text}-{side}" if side else text
    found = vocabulary.find(system, text)
    own = found.station.side if found.station is not None else ""
    wanted = _absolute(side or own, of_tumour)
    if not wanted or wanted == own:
        return text
    if (code := on_side(system, text, wanted)) is not None:
        return code
    # A midline station has no side, so the side in the row is ignored.
    return text if found.station is not None and not own else f"{text}-{wanted}"


def on_side(system: str, text: str, side: str) -> str | None:
    """Return the code of the station that a text names, on a side; None if there is none."""
    found = vocabulary.find(system, text)
    named = found.station or next(iter(found.sides), None)
    if named is None:
        return None
    stations = vocabulary.systems()[system].stations
    on = (one.key.code for one in stations if one.base == named.base and one.side == side)
    return next(on, None)


def _absolute(side: str, of_tumour: str) -> str:
    if not of_tumour or side not in ("ipsi", "contra"):
        return side
    return of_tumour if side == "ipsi" else OTHER_SIDE[of_tumour]
