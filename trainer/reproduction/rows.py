"""Rows of the paper's tables and of its Fig. 2, and our own rows that test the method.

A row is a training; several tables may show the same row. The paper's figures are in percent
(Tables 1 and 2, Fig. 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Paper:
    """Figures that the paper prints, percent; None if not printed or not readable in our copy."""

    auroc: float | None
    s_r75: float | None = None
    r_s75: float | None = None
    a_r75: float | None = None
    a_s75: float | None = None


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training, with all its folds: a row of the tables.

    Attributes:
        name: Name of the row in folder names and for `--only`.
        label: Name of the row in the printed table.
        group: Group of the row; rows of one group are printed together.
        network: Name of the network in `trainer.networks.registry`.
        knobs: Knobs of the network, which replace the recipe's.
        method: Method of the semi-supervised stage; None is the supervised stage.
        values: Values of the stage, which replace the recipe's.
        start: Supervised row whose weights a semi-supervised row starts from.
        paper: Figures that the paper prints.
        truth: Whether it trains on the labels of the recipe's `truth_reader` for unlabelled
            patients; without such a reader the row is left out.
    """

    name: str
    label: str
    group: str
    network: str
    knobs: Mapping[str, Any] = field(default_factory=dict)
    method: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    start: str | None = None
    paper: Paper | None = None
    truth: bool = False


@dataclass(frozen=True)
class Comparison:
    """A planned paired test of AUROC(first) - AUROC(second); Holm's correction is per table."""

    first: str
    second: str


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """Definition of a table that `lnscore reproduce` makes.

    Attributes:
        name: Name of the table, such as `table1`.
        title: Title above the table.
        rows: Names of the rows, in order.
        planned: Planned tests.
        supervised: Row over which gains are computed, "" for none.
        all_labels: Row that shows the largest possible gain, "" for none.
    """

    name: str
    title: str
    rows: tuple[str, ...]
    planned: tuple[Comparison, ...]
    supervised: str = ""
    all_labels: str = ""


_3D, _2_5D, _SSL, _OURS = "3D", "2.5D", "semi-supervised", "ours"
TWO_STREAM, SINGLE = "two-stream", "mobilenetv3-2.5d"
ALL_LABELS = "all-labels"


def _ssl(
    name: str,
    label: str,
    method: str,
    paper: Paper | None = None,
    **values: Any,  # noqa: ANN401
) -> Training:
    return Training(
        name=name,
        label=label,
        group=_SSL,
        network=TWO_STREAM,
        knobs={},
        method=method,
        values=values,
        start=TWO_STREAM,
        paper=paper,
    )


def _comparator(name: str, label: str, paper: Paper) -> Training:
    return Training(
        name=name,
        label=label,
        group=_SSL,
        network=SINGLE,
        knobs={},
        method=name,
        values={},
        start=SINGLE,
        paper=paper,
    )


_ALL = (
    Training(
        name="resnet18-3d",
        label="ResNet18 3D",
        group=_3D,
        network="resnet18-3d",
        paper=Paper(85.99, 82.51, 80.85, 82.13, 75.47),
    ),
    Training(
        name="mobilevitv2-3d",
        label="MobileViTv2 3D",
        group=_3D,
        network="mobilevitv2-3d",
        paper=Paper(84.62, 81.16, 82.45, 80.86, 76.57),
    ),
    Training(
        name="mobilenetv3-3d",
        label="MobileNetV3 3D",
        group=_3D,
        network="mobilenetv3-3d",
        paper=Paper(84.49, 79.90, 78.72, 79.71, 74.56),
    ),
    Training(
        name="dualnet-3d",
        label="3D DualNet",
        group=_3D,
        network="dualnet-3d",
        paper=Paper(86.48, 82.96, 81.91, 82.54, 74.89),
    ),
    Training(
        name="resnet18-2.5d",
        label="ResNet18 2.5D",
        group=_2_5D,
        network="resnet18-2.5d",
        paper=Paper(87.94, 84.28, 84.04, 83.87, 74.94),
    ),
    Training(
        name="mobilevitv2-2.5d",
        label="MobileViTv2 2.5D",
        group=_2_5D,
        network="mobilevitv2-2.5d",
        paper=Paper(87.34, 85.14, 83.51, 84.61, 76.60),
    ),
    Training(
        name=SINGLE,
        label="MobileNetV3 2.5D",
        group=_2_5D,
        network=SINGLE,
        paper=Paper(87.88, 84.26, 83.51, 83.78, 75.41),
    ),
    Training(
        name=TWO_STREAM,
        label="Ours (supervised)",
        group=_2_5D,
        network=TWO_STREAM,
        paper=Paper(90.68, 88.26, 88.30, 87.58, 77.04),
    ),
    _comparator("pi", "Pi-Model", Paper(89.00, 84.41, 84.04, 83.92, 76.87)),
    _comparator(
        "temporal-ensembling", "Temporal Ensemble", Paper(89.31, 83.33, 82.45, 82.93, 74.94)
    ),
    _comparator("mean-teacher", "Mean Teacher", Paper(89.77, 85.86, 82.45, 85.30, 74.34)),
    _comparator("simmatch", "SimMatch", Paper(90.23, 86.56, 87.77, 86.01, 75.91)),
    _ssl("pgls", "Ours (semi-supervised)", "pgls", Paper(93.18, 90.17, 90.96, 89.37, 80.45)),
    Training(
        name="2.5d+ts",
        label="2.5D + TS",
        group=_2_5D,
        network="2.5d+ts",
        paper=Paper(89.61, 87.36, 87.77, 86.76, 75.91),
    ),
    Training(
        name="2.5d+ms",
        label="2.5D + MS",
        group=_2_5D,
        network="2.5d+ms",
        paper=Paper(89.37, 83.96, 85.64, 83.56, 75.03),
    ),
    _ssl(
        "two-stream-mt",
        "2.5D + TS + MS + MT",
        "mean-teacher",
        Paper(91.92, 89.86, 89.89, 89.15, 77.37),
    ),
    # In our copy of Fig. 2 only the AUROC for beta and the end points can be read.
    _ssl("pgls-beta-0.6", "β = 0.6", "pgls", Paper(92.29), beta=0.6),
    _ssl("pgls-beta-0.8", "β = 0.8", "pgls", beta=0.8),
    _ssl("pgls-beta-0.9", "β = 0.9", "pgls", Paper(92.15), beta=0.9),
    *(_ssl(f"pgls-omega-{w:g}", f"ω = {w:g}", "pgls", omega=w) for w in (0.2, 0.4, 0.8, 1.0)),
    *(_ssl(f"pgls-gamma-{g:g}", f"γ = {g:g}", "pgls", gamma=g) for g in (0.1, 0.2, 0.4, 0.5)),
    # Our rows: the effect of other knobs of the two-stream network.
    Training(
        name="two-stream-7-groups",
        label="Ours, seven slice groups",
        group=_2_5D,
        network=TWO_STREAM,
        knobs={"group_stride": 2},
    ),
    Training(
        name="two-stream-spatial",
        label="Ours, maps averaged after slices meet",
        group=_2_5D,
        network=TWO_STREAM,
        knobs={"slice_fusion": "spatial"},
    ),
    Training(
        name="two-stream-128px",
        label="Ours, 128-pixel images",
        group=_2_5D,
        network=TWO_STREAM,
        knobs={"input_upsample": 2},
    ),
    # Our rows: tests whether the gain comes from pathology.
    _ssl("null", "supervised, trained on as long", "supervised"),
    Training(
        name=ALL_LABELS,
        label="all labels (upper bound)",
        group=_OURS,
        network=TWO_STREAM,
        knobs={},
        method="supervised",
        values={},
        start=TWO_STREAM,
        truth=True,
    ),
    _ssl(
        "pgls-literal",
        "PGLS, the paper's rules",
        "pgls",
        benign_rule="gamma",
        malignant_rule="beta",
        select="uniform",
    ),
    _ssl(
        "pgls-benign-all",
        "PGLS, every node of a benign station",
        "pgls",
        benign_rule="all",
        malignant_rule="beta",
        select="stratified",
    ),
    _ssl(
        "pgls-both",
        "PGLS, and the best node of a malignant station",
        "pgls",
        benign_rule="all",
        malignant_rule="top1",
        select="stratified",
    ),
    _ssl(
        "pgls-shuffled",
        "the same, stations shuffled between patients",
        "pgls",
        benign_rule="all",
        malignant_rule="top1",
        select="stratified",
        station_shuffle=1.0,
    ),
    _ssl(
        "pgls-half",
        "the same, half the stations not sampled",
        "pgls",
        benign_rule="all",
        malignant_rule="top1",
        select="stratified",
        station_drop=0.5,
    ),
    _ssl(
        "pgls-noise",
        "the same, 10 % of the stations wrong",
        "pgls",
        benign_rule="all",
        malignant_rule="top1",
        select="stratified",
        station_noise=0.1,
    ),
)
ROWS: Mapping[str, Training] = MappingProxyType({row.name: row for row in _ALL})


def _against(first: str, *others: str) -> tuple[Comparison, ...]:
    return tuple(Comparison(first, other) for other in others)


_SWEEPS = {
    "beta": ("pgls-beta-0.6", "pgls", "pgls-beta-0.8", "pgls-beta-0.9"),
    "omega": ("pgls-omega-0.2", "pgls-omega-0.4", "pgls", "pgls-omega-0.8", "pgls-omega-1"),
    "gamma": ("pgls-gamma-0.1", "pgls-gamma-0.2", "pgls", "pgls-gamma-0.4", "pgls-gamma-0.5"),
}
SWEEPS: Mapping[str, tuple[str, ...]] = MappingProxyType(_SWEEPS)
"""Rows of each panel of Fig. 2, in order of the value; the panel gamma is ours."""

SWEPT: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "beta": (0.6, 0.7, 0.8, 0.9),
        "omega": (0.2, 0.4, 0.6, 0.8, 1.0),
        "gamma": (0.1, 0.2, 0.3, 0.4, 0.5),
    }
)

_SUPERVISED = tuple(row.name for row in _ALL if row.method is None and not row.truth)

_TABLES = (
    PaperTable(
        name="table1", title="Table 1",
        rows=(*(row.name for row in _ALL[:13]), ALL_LABELS),
        planned=(*_against(TWO_STREAM, "resnet18-2.5d"), *_against("pgls", "simmatch", TWO_STREAM)),
        supervised=TWO_STREAM, all_labels=ALL_LABELS,
    ),
    PaperTable(
        name="networks", title="Every network, supervised (ours)", rows=_SUPERVISED,
        planned=_against(TWO_STREAM, *(name for name in _SUPERVISED if name != TWO_STREAM)),
    ),
    PaperTable(
        name="table2", title="Table 2",
        rows=("mobilenetv3-3d", SINGLE, "2.5d+ts", "2.5d+ms", TWO_STREAM, "two-stream-mt", "pgls",
         ALL_LABELS),
        planned=(
            *_against(SINGLE, "mobilenetv3-3d"), *_against("2.5d+ts", SINGLE),
            *_against("2.5d+ms", SINGLE), *_against(TWO_STREAM, SINGLE),
            *_against("two-stream-mt", TWO_STREAM), *_against("pgls", "two-stream-mt"),
        ),
        supervised=TWO_STREAM, all_labels=ALL_LABELS,
    ),
    PaperTable(
        name="fig2", title="Fig. 2",
        rows=(*dict.fromkeys((*_SWEEPS["beta"], *_SWEEPS["omega"])), TWO_STREAM, ALL_LABELS),
        planned=_against("pgls", *(name for name in (*_SWEEPS["beta"], *_SWEEPS["omega"])
                           if name != "pgls")),
        supervised=TWO_STREAM, all_labels=ALL_LABELS,
    ),
    PaperTable(
        name="gamma", title="γ, as Fig. 2 (ours)", rows=(*_SWEEPS["gamma"], TWO_STREAM, ALL_LABELS),
        planned=_against("pgls", *(name for name in _SWEEPS["gamma"] if name != "pgls")),
        supervised=TWO_STREAM, all_labels=ALL_LABELS,
    ),
    PaperTable(
        name="truth", title="Is it true? (ours)",
        rows=(
            TWO_STREAM, "null", "two-stream-mt", "pgls-literal", "pgls-benign-all", "pgls-both",
            "pgls-shuffled", "pgls-half", "pgls-noise", ALL_LABELS,
        ),
        planned=(
            *_against(ALL_LABELS, TWO_STREAM), *_against("two-stream-mt", TWO_STREAM, "null"),
            *_against("pgls-literal", "two-stream-mt"),
            *_against("pgls-benign-all", "two-stream-mt"), *_against("pgls-both", "two-stream-mt"),
            *_against("pgls-shuffled", "two-stream-mt"), *_against("pgls-half", "two-stream-mt"),
            *_against("pgls-noise", "two-stream-mt"),
        ),
        supervised=TWO_STREAM, all_labels=ALL_LABELS,
    ),
)  # fmt: skip
TABLES: Mapping[str, PaperTable] = MappingProxyType({table.name: table for table in _TABLES})
