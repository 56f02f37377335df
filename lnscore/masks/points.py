"""Read points that a reader placed, from CSV, JSON and Slicer's `.mrk.json`, as LPS mm.

Coordinates in millimetres may be LPS or RAS, so the coordinate system must be stated: `LPS_MM`,
`RAS_MM`, or `IJK`. IJK is column, row and slice of the CT, each counted from 0; slice 0 is the
first slice of the grid, whose UID is `CtGrid.sop_uids[0]`.
"""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from lnscore.dicom.geometry import CtGrid, Geometry
from lnscore.errors import Refusal
from lnscore.masks.regions import MAX_REGIONS, AnnotatedFile, Region
from lnscore.stations.stated import station_in

COORDS = ("LPS_MM", "RAS_MM", "IJK")
MAX_BYTES = 1 << 24
BORDER_VOX = 0.5
"""Distance in voxels from the centre of the outermost voxels to the border of the scan."""


class PointRow(BaseModel):
    """One point as written in the file; `station` is `SYSTEM:CODE`."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    x: FiniteFloat
    y: FiniteFloat
    z: FiniteFloat
    name: str = ""
    station: str = ""


def read_points(path: Path, coord: str | None, grid: CtGrid) -> AnnotatedFile:
    """Read candidate nodes that are given as points.

    Args:
        path: `.csv` with the columns x, y, z and optionally name and station; `.json` with a
            list of such objects, or an object with `points` and optionally `coord`; Slicer's
            `.mrk.json`, which states its own coordinate system.
        coord: One of `COORDS`; may be None if the file states it.
        grid: Grid of the CT.

    Returns:
        One region for each point. `refusals` has K03 for every point outside the scan.
        `details` holds the `coord`.

    Raises:
        Refusal: K01 a damaged file, with the row; K02 no coordinate system, or a different one
            than the file states; M06 too many points.
    """
    rows, stated = _rows(path)
    coord = _coordinates(path, coord, stated)
    if len(rows) > MAX_REGIONS:
        raise Refusal(
            "M06",
            f"{path.name} has {len(rows)} points",
            f"at most {MAX_REGIONS}, one for each node",
            "Check that it is a list of lymph nodes",
        )
    written = np.array([[row.x, row.y, row.z] for row in rows]).reshape(-1, 3)
    points_mm = lps_mm(written, coord, grid.geometry)
    regions, refusals = [], []
    for number, (row, point_mm) in enumerate(zip(rows, points_mm, strict=True), 1):
        result = _region(number, row, point_mm, grid)
        (refusals if isinstance(result, Refusal) else regions).append(result)
    return AnnotatedFile(tuple(regions), tuple(refusals), {"coord": coord})


def _rows(path: Path) -> tuple[list[PointRow], str | None]:
    """Read and check the rows; return them with the coordinate system that the file states."""
    if path.stat().st_size > MAX_BYTES:
        raise _damaged(path, f"{path.stat().st_size} bytes")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".csv":
            written, stated = _csv_rows(text), None
        else:
            written, stated = _json_rows(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, csv.Error) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    return _checked(path, written), stated


def _csv_rows(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the rows of a CSV file, each with its line number as text."""
    reader = csv.DictReader(text.splitlines())
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or []]
    return [
        (f"line {reader.line_num}", {key: value for key, value in row.items() if key and value})
        for row in reader
    ]


def _json_rows(written: Any) -> tuple[list[tuple[str, Any]], str | None]:  # noqa: ANN401 - any JSON
    stated = None
    if isinstance(written, dict) and "markups" in written:
        return _markup_rows(written["markups"])
    if isinstance(written, dict):
        written, stated = written["points"], written.get("coord")
    return [(f"point {number}", row) for number, row in enumerate(list(written), 1)], stated


def _markup_rows(markups: Iterable[dict[str, Any]]) -> tuple[list[tuple[str, Any]], str | None]:
    """Return the control points of Slicer's markups, without points that are not placed yet."""
    rows, systems = [], set()
    for markup in markups:
        # Slicer 4 wrote numbers: 0 for RAS, 1 for LPS.
        system = str(markup["coordinateSystem"])
        systems.add({"0": "RAS", "1": "LPS"}.get(system, system))
        for point in markup["controlPoints"]:
            if point.get("positionStatus", "defined") == "defined":
                x, y, z = point["position"]
                row = {"x": x, "y": y, "z": z, "name": point.get("label", "")}
                rows.append((f"control point {len(rows) + 1}", row))
    if len(systems) > 1:
        raise ValueError(f"several coordinate systems: {', '.join(sorted(systems))}")
    return rows, f"{systems.pop()}_MM" if systems else None


def _checked(path: Path, written: list[tuple[str, Any]]) -> list[PointRow]:
    rows, wrong = [], []
    for place, values in written:
        try:
            rows.append(PointRow.model_validate(values))
        except ValidationError as error:
            first = error.errors()[0]
            wrong.append(f"{place}: {'.'.join(map(str, first['loc']))}: {first['msg']}")
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise _damaged(path, "; ".join(wrong[:3]) + more)
    return rows


def _coordinates(path: Path, asked: str | None, stated: str | None) -> str:
    asked = asked.upper() if asked else None
    stated = stated.upper() if stated else None
    coord = asked or stated
    if coord not in COORDS or (stated and asked and stated != asked):
        said = f"{path.name} states {stated or 'no coordinate system'}"
        raise Refusal(
            "K02",
            f"{said}, --coord is {asked or 'not given'}",
            f"one coordinate system of {', '.join(COORDS)}",
            "Set --coord to the coordinate system of the program that wrote the points",
        )
    return coord


def lps_mm(points: np.ndarray, coord: str, geometry: Geometry | None) -> np.ndarray:
    """Convert points from their stated coordinate system to LPS mm.

    Args:
        points: Points x y z as written, shape (point, 3).
        coord: Coordinate system, one of `COORDS`.
        geometry: Geometry of the CT; only IJK needs it.

    Raises:
        ValueError: `coord` is IJK and no geometry is given.
    """
    if coord == "IJK":
        if geometry is None:
            raise ValueError("IJK needs the geometry of the CT, and none is given")
        return geometry.to_mm(points[:, ::-1])
    return points * (-1, -1, 1) if coord == "RAS_MM" else points


def _region(number: int, row: PointRow, point_mm: np.ndarray, grid: CtGrid) -> Region | Refusal:
    label = row.name or f"point {number}"
    vox = grid.geometry.to_vox(point_mm[None])[0]
    if (vox < -BORDER_VOX).any() or (vox > np.array(grid.geometry.shape) - BORDER_VOX).any():
        x, y, z = point_mm
        return Refusal(
            "K03",
            f"'{label}' at ({x:.1f}, {y:.1f}, {z:.1f}) mm LPS lies outside the scan",
            f"a point inside CT series {grid.series_uid}",
            "Check the coordinate system, and that the points belong to this CT",
        )
    station, warnings = station_in(row.station or label)
    if row.station and not station:
        warnings = warnings or ("N06",)
    x, y, z = map(float, point_mm)
    return Region(
        label=label, number=number, centre_mm=(x, y, z), station=station, warnings=warnings
    )


def _damaged(path: Path, found: str) -> Refusal:
    return Refusal(
        "K01",
        f"points file {path.name}: {found}",
        "x, y, z and optionally name and station for every point",
        "Correct the file; see docs/inputs.md",
    )
