"""Split one CT series, as it was sent, into the stacks of slices that it contains.

Duplicates and localizers are removed, and several acquisitions in one series are separated. A
series that could only be split by guessing is refused. File names and instance numbers are not
used.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lnscore.dicom.slice_headers import SliceHeader
from lnscore.errors import Refusal

ORIENTATION_TOL = 1e-4  # 1 - cosine between two slices' rows or columns
SAME_PLACE_MM = 0.01
STRAY_SLICES = 2  # a scout view in the same series has one or two images

LOCALIZER_DROPPED = "S07"
PHASES_SPLIT = "S08"
DUPLICATES_DROPPED = "S09"


@dataclass(frozen=True)
class SliceStack:
    """Slices of one acquisition, in any order.

    Attributes:
        series_uid: SeriesInstanceUID; further stacks of the same series end in `#2`, `#3` ...
        slices: The slices, at least one.
        flags: Codes of the changes made while splitting the series (S07 to S09).
        others: SOPInstanceUIDs of the series that are not in this stack.
    """

    series_uid: str
    slices: tuple[SliceHeader, ...]
    flags: tuple[str, ...] = ()
    others: frozenset[str] = frozenset()


def split_series(
    slices: Sequence[SliceHeader], sha256_of: Mapping[str, str]
) -> tuple[list[SliceStack], int]:
    """Split the slices of one series into stacks.

    Args:
        slices: All slices with this SeriesInstanceUID.
        sha256_of: SHA-256 of the file's bytes, by file path.

    Returns:
        The stacks, and how many localizer images were left out.

    Raises:
        Refusal: S01 one UID with two contents, S02 two frames of reference, S03 two slices
            at one place with nothing to tell them apart.
    """
    unique = _drop_duplicates(slices, sha256_of)
    images = [one for one in unique if "LOCALIZER" not in one.image_type]
    _refuse_two_frames(images)
    groups = _by_orientation(images)
    kept = [group for group in groups if len(group) > STRAY_SLICES or group is groups[0]]
    flags = (DUPLICATES_DROPPED,) if len(unique) < len(slices) else ()
    stray = len(unique) - sum(map(len, kept))
    flags += (LOCALIZER_DROPPED,) if stray else ()
    stacks = [stack for group in kept for stack in _by_phase(group)]
    flags += (PHASES_SPLIT,) if len(stacks) > 1 else ()
    uids = frozenset(one.sop_uid for one in slices)
    return [_stack(number, one, flags, uids) for number, one in enumerate(stacks, 1)], stray


def _stack(
    number: int, slices: list[SliceHeader], flags: tuple[str, ...], uids: frozenset[str]
) -> SliceStack:
    uid = slices[0].series_uid + (f"#{number}" if number > 1 else "")
    return SliceStack(uid, tuple(slices), flags, uids - {one.sop_uid for one in slices})


def _drop_duplicates(
    slices: Sequence[SliceHeader], sha256_of: Mapping[str, str]
) -> list[SliceHeader]:
    seen: dict[tuple[str, int | None], SliceHeader] = {}
    for one in slices:
        first = seen.setdefault((one.sop_uid, one.pixels.frame), one)
        if sha256_of[first.path] != sha256_of[one.path]:
            raise Refusal(
                "S01",
                f"two different images with the SOPInstanceUID {one.sop_uid}",
                "one image for each UID",
                "Find out which one is right and remove the other.",
            )
    return list(seen.values())


def _refuse_two_frames(slices: Sequence[SliceHeader]) -> None:
    frames = Counter(one.for_uid for one in slices)
    if len(frames) > 1:
        found = ", ".join(f"{uid or 'none'} ({count} slices)" for uid, count in frames.items())
        raise Refusal(
            "S02",
            f"frames of reference {found} in one series",
            "one, so that every slice is in the same patient space",
            "Export each acquisition as a series of its own.",
        )


def _by_orientation(slices: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """Group slices of the same orientation, the largest group first.

    A slice without a usable orientation is put into the largest group, so that the geometry
    check refuses it by name.
    """
    groups: list[tuple[np.ndarray, list[SliceHeader]]] = []
    lost = []
    for one in slices:
        if one.orientation is None:
            lost.append(one)
            continue
        axes = np.reshape(one.orientation, (2, 3))
        for known, members in groups:
            if np.all(np.sum(known * axes, axis=1) > 1 - ORIENTATION_TOL):
                members.append(one)
                break
        else:
            groups.append((axes, [one]))
    found = sorted((members for _, members in groups), key=len, reverse=True)
    if lost:
        found = [[*found[0], *lost], *found[1:]] if found else [lost]
    return found


def _by_phase(slices: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Split slices that share positions, by the first tag that separates them completely.

    Step-and-shoot scanners give every table position its own acquisition number. A tag is
    therefore used only if it has as many values as there are slices at one position.
    """
    if any(one.position_mm is None for one in slices):
        return [slices]
    places = _places(slices)
    depth = max(Counter(places).values(), default=1)
    if depth == 1:
        return [slices]
    for tag in range(len(slices[0].phases)):
        groups: dict[str, list[int]] = defaultdict(list)
        for number, one in enumerate(slices):
            groups[one.phases[tag]].append(number)
        collides = any(len({places[n] for n in group}) < len(group) for group in groups.values())
        if len(groups) == depth and not collides and "" not in groups:
            return [[slices[n] for n in groups[value]] for value in sorted(groups, key=_natural)]
    place = Counter(places).most_common(1)[0][0]
    at = [one for one, where in zip(slices, places, strict=True) if where == place]
    raise Refusal(
        "S03",
        f"{len(at)} slices at {_mm(at[0])} and at most {depth} at one position",
        "one slice at each position, or a tag that separates the acquisitions",
        "Export each acquisition as a series of its own.",
    )


def _places(slices: Sequence[SliceHeader]) -> list[int]:
    """Number the positions of the slices along the stack; within 0.01 mm they are the same."""
    axes = np.reshape(slices[0].orientation or (1, 0, 0, 0, 1, 0), (2, 3))
    along = np.array([one.position_mm for one in slices]) @ np.cross(axes[0], axes[1])
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order], prepend=along[order[0]]) > SAME_PLACE_MM
    places = np.empty(len(slices), int)
    places[order] = np.cumsum(steps)
    return places.tolist()


def _natural(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value


def _mm(one: SliceHeader) -> str:
    return "(" + ", ".join(f"{v:.1f}" for v in one.position_mm or ()) + ") mm"
