"""Agreement of readers: counts and Cohen's kappa of every pair, and the nodes they differ on."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from db.labels import ReaderLabel


@dataclass(frozen=True)
class ReaderPair:
    """The agreement of two readers on the nodes that both labelled.

    Attributes:
        first: Name of the first reader.
        second: Name of the second reader.
        both: Number of nodes that both labelled.
        same: Number of these nodes with equal labels.
        kappa: Cohen's kappa; None if it is not defined (no common node, or both readers give
            all nodes the same label).
    """

    first: str
    second: str
    both: int
    same: int
    kappa: float | None


def pairs(readings: Sequence[ReaderLabel]) -> list[ReaderPair]:
    """Return the agreement of every pair of readers, sorted by name."""
    said: dict[str, dict[int, int]] = defaultdict(dict)
    for reading in readings:
        said[reading.reader][reading.node_id] = reading.value
    return [_pair(a, b, said[a], said[b]) for a, b in combinations(sorted(said), 2)]


def kappa(table: Sequence[tuple[int, int]]) -> float | None:
    """Compute Cohen's kappa, the agreement of two readers beyond chance.

    Cohen, Educational and Psychological Measurement 1960, eq. 1.

    Args:
        table: Labels of every node by the two readers, each 0 or 1.

    Returns:
        Kappa: 1 is full agreement, 0 is agreement by chance. None if the agreement expected by
        chance is 1.
    """
    if not table:
        return None
    count = len(table)
    observed = sum(a == b for a, b in table) / count
    first, second = (sum(column) / count for column in zip(*table, strict=True))
    chance = first * second + (1 - first) * (1 - second)
    return None if chance == 1 else (observed - chance) / (1 - chance)


def disagreements(readings: Sequence[ReaderLabel]) -> list[list[ReaderLabel]]:
    """Return the labels of every node on which the readers differ."""
    of_node: dict[int, list[ReaderLabel]] = defaultdict(list)
    for reading in readings:
        of_node[reading.node_id].append(reading)
    return [said for said in of_node.values() if len({one.value for one in said}) > 1]


def _pair(first: str, second: str, a: dict[int, int], b: dict[int, int]) -> ReaderPair:
    table = [(a[node_id], b[node_id]) for node_id in sorted(a.keys() & b.keys())]
    return ReaderPair(first, second, len(table), sum(x == y for x, y in table), kappa(table))
