"""Make the HTML pages of a report.

The pages are self-contained and ready to print: they have no script and load nothing.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2

from lnscore.report import pathology_words, station_table
from lnscore.report.facts import NOTICE, EngineFacts, NodeFacts, Problem, ScoreFacts, StudyFacts
from lnscore.report.pictures import PIXEL_MM, SIZE_PX, Picture
from lnscore.report.tables import positives
from lnscore.short_names import folder_name

TEMPLATES = Path(__file__).parent / "templates"
SOURCES = {
    "explicit": "from the mask's own code or name",
    "overlap": "largest overlap with the station map",
    "nearest": "nearest station of the map, up to 5 mm away",
    "unassigned": "no station given",
}
PADDED_WORTH_SAYING = 0.005
PROBLEMS_SHOWN = 500


@dataclass(frozen=True, kw_only=True)
class IndexRow:
    """One line of the index.

    Attributes:
        study: Short name of the study, which is also the name of its folder.
        patient: Pseudonym of the patient.
        study_date: Date of the study; None if it has none.
        href: Path of the study's page, relative to the index.
        status: Status of the study.
        node_count: Number of nodes.
        scored_count: Number of nodes that the newest engine has scored.
        highest: Highest raw probability by the newest engine; None if it has no score.
        positives: Operating point to the number of nodes called positive.
        engine: Newest engine that has scored the study; None if there is none.
        codes: Codes of the study's problems.
    """

    study: str
    patient: str
    study_date: str | None
    href: str
    status: str
    node_count: int
    scored_count: int
    highest: float | None
    positives: Mapping[str, int]
    engine: EngineFacts | None
    codes: tuple[str, ...]


@dataclass(frozen=True)
class _Shown:
    """A picture in the form that the template needs."""

    title: str
    alt: str
    base64: str
    path: str
    letters: tuple[str, str, str, str]


def study_page(
    study: StudyFacts, pictures: Mapping[int, Sequence[Picture]], content_key: str = ""
) -> str:
    """Return the page of one study as HTML.

    Args:
        study: Facts of the study; nodes are shown in their order.
        pictures: Node number to its pictures; empty if the patch file is missing.
        content_key: Hash of what the page is made from; a page with the same key is current.
    """
    engine = study.engines[0] if study.engines else None
    scores = [found for node in study.nodes if (found := _score_of(node, engine))]
    points = [p for p in engine.operating_points if p.threshold is not None] if engine else []
    return (
        _environment()
        .get_template("study.html.j2")
        .render(
            study=study,
            engine=engine,
            engines={one.key: one for one in study.engines},
            points=points,
            scored_at=max((score.scored_at for score in scores), default=None),
            pictures={
                node.number: [_shown(one, node) for one in pictures.get(node.number, ())]
                for node in study.nodes
            },
            calibrated=any(score.calibrated_probability is not None for score in scores),
            foot=f"{study.notice}  Patient {study.patient}, study {study.study}",
            size_px=SIZE_PX,
            scale_px=round(10 / PIXEL_MM, 2),
            content_key=content_key,
        )
    )


def index_page(rows: Sequence[IndexRow], problems: Sequence[Problem], scope: str) -> str:
    """Return the index as HTML: the studies, then everything that was refused or waits.

    Args:
        rows: Rows in the order of the page.
        problems: All problems; the first PROBLEMS_SHOWN are shown.
        scope: Which studies the index covers; a later run reads it as the content key.
    """
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            rows=rows,
            problems=problems[:PROBLEMS_SHOWN],
            problem_count=len(problems),
            notice=NOTICE,
            doubted=_doubted(rows),
            foot=NOTICE,
            content_key=scope,
        )
    )


def index_row(study: StudyFacts, href: str) -> IndexRow:
    """Return the line of a study in the index."""
    engine = study.engines[0] if study.engines else None
    scores = [found for node in study.nodes if (found := _score_of(node, engine))]
    return IndexRow(
        study=study.study,
        patient=study.patient,
        study_date=study.study_date,
        href=href,
        status=study.status,
        node_count=len(study.nodes),
        scored_count=len(scores),
        highest=max((score.probability for score in scores), default=None),
        positives=positives(scores),
        engine=engine,
        codes=tuple(sorted({problem.code for problem in study.problems})),
    )


def _doubted(rows: Sequence[IndexRow]) -> list[EngineFacts]:
    """Return the engines whose probabilities have no meaning, one for each name and reason."""
    found = [row.engine for row in rows if row.engine and not row.engine.meaningful]
    unique = {(engine.name, engine.doubt): engine for engine in found}
    return [unique[key] for key in sorted(unique)]


def template_key() -> bytes:
    """Return the text of all templates; a page made from other templates is out of date."""
    return b"\n".join(path.read_bytes() for path in sorted(TEMPLATES.glob("*.j2")))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "probability": _probability,
        "tenth": lambda value: f"{value:.1f}",
        "mm": lambda value: "–" if value is None else f"{value:.1f} mm",
        "volume": _volume,
        "place": _place,
        "minute": _minute,
        "tail": lambda uid: uid[-8:],
        "score_of": _score_of,
        "station_name": _station_name,
        "station_source": lambda node: SOURCES[node.station_source],
        "axes": _axes,
        "pseudonym": folder_name,
        "remarks": _remarks,
        "station_code": station_table.name,
        "finding_words": pathology_words.finding,
        "others": pathology_words.others,
        "in_all": pathology_words.in_all,
        "pathology_notes": pathology_words.notes,
    }
    return environment


def _shown(picture: Picture, node: NodeFacts) -> _Shown:
    path = "".join(_svg_path(line.tolist()) for line in picture.outline) or _cross(picture)
    what = "outlined" if picture.outline else "marked by a cross"
    name = picture.plane.name
    return _Shown(
        title=name.capitalize(),
        alt=f"{name.capitalize()} CT through node {node.number}, the node {what} in yellow",
        base64=base64.b64encode(picture.png).decode(),
        path=path,
        letters=picture.plane.letters,
    )


def _svg_path(line: list[list[float]]) -> str:
    return "M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in line) + "Z"


def _cross(picture: Picture) -> str:
    """Return the SVG path of a cross of four strokes; its centre stays free."""
    x, y = picture.centre_px
    strokes = ((-14, 0, -5, 0), (5, 0, 14, 0), (0, -14, 0, -5), (0, 5, 0, 14))
    return "".join(f"M{x + a:.1f},{y + b:.1f} {x + c:.1f},{y + d:.1f}" for a, b, c, d in strokes)


def _score_of(node: NodeFacts, engine: EngineFacts | None) -> ScoreFacts | None:
    """Return the score of a node by an engine; None if there is none."""
    if engine is None:
        return None
    return next((score for score in node.scores if score.engine == engine.key), None)


def _probability(value: float | None) -> str:
    """Return a probability with three digits; never 0 or 1, because no engine is certain."""
    if value is None:
        return "–"
    if value < 0.0005:
        return "<0.001"
    return ">0.999" if value > 0.9995 else f"{value:.3f}"


def _axes(node: NodeFacts) -> str:
    if node.short_axis_mm is None or node.long_axis_mm is None:
        return "–"
    return f"{node.short_axis_mm:.1f} × {node.long_axis_mm:.1f} mm"


def _volume(value_mm3: float | None) -> str:
    if value_mm3 is None:
        return "–"
    return f"{value_mm3:.0f} mm³" if value_mm3 < 1000 else f"{value_mm3 / 1000:.1f} cm³"


def _place(centroid_mm: tuple[float, float, float]) -> str:
    """Return LPS coordinates with letters for directions, as DICOM viewers show them."""
    x, y, z = centroid_mm
    parts = ((x, "L", "R"), (y, "P", "A"), (z, "H", "F"))
    return ", ".join(f"{up if v >= 0 else down} {abs(v):.1f}" for v, up, down in parts) + " mm"


def _minute(instant: str | None) -> str:
    """Return a time such as `2026-11-24T16:30:05+00:00` as `2026-11-24 16:30 UTC`."""
    return "–" if instant is None else instant[:16].replace("T", " ") + " UTC"


def _station_name(node: NodeFacts) -> str:
    if node.station is None:
        return "unassigned"
    return station_table.name(node.station)


def _remarks(node: NodeFacts) -> list[str]:
    """Return remarks on a node: the meanings of its flags, padding, and a missing outline."""
    remarks = [flag.meaning for flag in node.flags]
    if node.padded_fraction > PADDED_WORTH_SAYING:
        remarks.append(f"{100 * node.padded_fraction:.0f} % of the region lies outside the scan")
    if node.kind == "point":
        remarks.append("marked as a point: no outline, no size")
    return remarks
