"""A station as a table spells it, to a code of its system: aliases, merged groups, sides."""

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
        aliases: Text of the table to a code, or to several joined by `+`.
        sides: Word for a side to `R`, `L`, `ipsi` or `contra`.
        right: Words of the tumour's side that mean right.
        left: Words of the tumour's side that mean left.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    sides: Mapping[str, str] = field(default_factory=dict)
    right: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Bring what is compared to one form."""
        self._aliases = {compared(text): code for text, code in self.aliases.items()}
        self._sides = {compared(side): side for side in ("R", "L", "ipsi", "contra")}
        self._sides |= {compared(word): side for word, side in self.sides.items()}
        self._tumour = {compared(word): "R" for word in self.right}
        self._tumour |= {compared(word): "L" for word in self.left}
        self._known: dict[tuple[str, ...], str] = {}

    def spelled(
        self, system: str, text: str, *, side: str = "", tumour: str = "", joined_by: str = ""
    ) -> str:
        """The code, or codes joined by `+`; a text that is not known stays as it is.

        Args:
            system: Name of the system as the table has it.
            text: As the table or the mapping has it.
            side: Word for the side; empty where the text says it itself.
            tumour: Word for the side of the tumour: with it ipsi and contra become R and L.
            joined_by: What joins merged stations in this table, beside `+`.

        Raises:
            UnknownSide: For a word that is neither a side nor explained.
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
    """The code of a station on a side; text and side joined where the system knows none."""
    if system is None:
        return f"{text}-{side}" if side else text
    found = vocabulary.find(system, text)
    own = found.station.side if found.station is not None else ""
    wanted = _absolute(side or own, of_tumour)
    if not wanted or wanted == own:
        return text
    if (code := on_side(system, text, wanted)) is not None:
        return code
    # A midline station stays one, whatever the row says of the side.
    return text if found.station is not None and not own else f"{text}-{wanted}"


def on_side(system: str, text: str, side: str) -> str | None:
    """Code of the station that a text names, on a side; None where there is none on that side."""
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
