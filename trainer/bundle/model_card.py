"""Write the model card: what an engine is, how it was tested, what it must not be used for."""

from collections.abc import Iterator, Mapping
from typing import Any

from engines.manifest import About, Metric
from trainer.networks.config import NetworkConfig

PHANTOM_FIRST = (
    "**This engine was trained on computer-made phantoms. Its scores mean nothing for patients.**"
)
FIGURES = {
    "auroc": "AUROC",
    "s_at_r75": "specificity at recall 75 %",
    "r_at_s75": "recall at specificity 75 %",
    "average_precision": "average precision",
    "brier": "Brier score, calibrated",
    "sensitivity_recall75": "sensitivity at `recall75`",
    "specificity_recall75": "specificity at `recall75`",
    "sensitivity_specificity75": "sensitivity at `specificity75`",
    "specificity_specificity75": "specificity at `specificity75`",
}
"""Figures shown on the card; the manifest has all figures."""

COLUMNS = {
    "test_": "held out",
    "test_short_axis_": "short axis, held out",
    "cross_validated_": "out of fold",
    "cross_validated_short_axis_": "short axis, out of fold",
}


def card(about: About, network: NetworkConfig) -> str:
    """Return the model card as Markdown.

    Args:
        about: Facts of the manifest, with the cohort of a run.
        network: Configuration of the network.
    """
    sections = (_head(about, network), _data(about), _split(about), _metrics(about.metrics))
    rest = (_calibration(about), _limits(about), _again(about))
    return "\n\n".join(part for parts in (*sections, *rest) for part in parts) + "\n"


def _head(about: About, network: NetworkConfig) -> Iterator[str]:
    if about.phantom:
        yield PHANTOM_FIRST
    yield f"# {about.name}"
    yield (
        "Gives every marked lymph node of a chest CT a probability of metastasis, from the patch "
        "around it."
    )
    knobs = ", ".join(f"{k} {v}" for k, v in network.model_dump(mode="json").items())
    yield f"Made {about.created:%Y-%m-%d}. Network: {knobs}."
    yield about.research_use


def _data(about: About) -> Iterator[str]:
    cohort = _cohort(about)
    phantoms = cohort.get("phantom_patients", 0)
    everyone = cohort["patients"] + cohort["unlabelled_patients"]
    who = "phantoms" if about.phantom and phantoms == everyone else "patients"
    some = f" {phantoms} of all are phantoms." if phantoms and who == "patients" else ""
    slices = cohort.get("slice_mm")
    thickness = (
        f" Slices: {slices['least']:g} to {slices['largest']:g} mm, median {slices['median']:g} mm."
        if slices
        else ""
    )
    yield "## Data"
    yield (
        f"{cohort['nodes']} labelled nodes ({cohort['positives']} malignant) of "
        f"{cohort['patients']} {who}; labels by reader '{cohort['reader']}'. "
        f"{cohort['unlabelled_nodes']} further nodes of {cohort['unlabelled_patients']} {who} "
        f"without labels.{some}{thickness}"
    )
    yield f"Weights before training: {cohort['pretrained']}."
    if semi := cohort.get("semi_supervised"):
        yield _semi(semi)


def _semi(facts: dict[str, Any]) -> str:
    """Describe the semi-supervised training; only label sharpening (pgls) uses pathology."""
    of = facts["unlabelled"]
    told = (
        f": {of['malignant']} in stations that are malignant by pathology, {of['benign']} in "
        f"benign ones, {of['unknown']} in stations of unknown status"
    )
    return (
        f"Then semi-supervised by {facts['method']} from the run '{facts['from']}', with "
        f"{of['nodes']} nodes without labels{told if facts['method'] == 'pgls' else ''}."
    )


def _split(about: About) -> Iterator[str]:
    cohort, held = _cohort(about), _cohort(about)["held_out"]
    yield "## Split"
    yield (
        "Patients were divided, never nodes, into four folds (60 % train, 15 % validation, 25 % "
        f"test; seed {cohort['split_seed']}).{_fewer(cohort.get('labelled_share', 1))} This engine "
        f"is the network of fold {cohort['fold']}, "
        f"chosen by {cohort['fold_chosen']}. The choice looked at no test label. Weights of epoch "
        f"{cohort['best_epoch']} of {cohort['epochs']}, selected on validation."
    )
    yield (
        f"Held out from it: {held['nodes']} nodes ({held['positives']} malignant), fold "
        f"{held['fold']} of split '{held['split']}'."
    )


def _fewer(share: float) -> str:
    return "" if share == 1 else f" Of the training patients {100 * share:g} % were used."


def _metrics(metrics: Mapping[str, Metric]) -> Iterator[str]:
    shown = {prefix: head for prefix, head in COLUMNS.items() if f"{prefix}auroc" in metrics}
    yield "## Performance"
    yield (
        "*Held out* is this engine on the test part of its fold. *Out of fold* pools the test "
        "parts of all four folds, each scored by its own network: it says more about the method, "
        "less about this engine. In brackets: 95 % of 2,000 draws of whole patients. *Short axis* "
        "ranks the same nodes by their short axis alone."
    )
    lines = [f"| | {' | '.join(shown.values())} |", "|-" * (len(shown) + 1) + "|"]
    for figure, words in FIGURES.items():
        cells = [_interval(metrics.get(prefix + figure)) for prefix in shown]
        if any(cells):
            lines.append(f"| {words} | {' | '.join(cells)} |")
    yield "\n".join(lines)


def _calibration(about: About) -> Iterator[str]:
    calibration = about.calibration
    yield "## Calibration and operating points"
    if calibration is not None:
        yield (
            f"Calibrated probability: sigmoid(logit / {calibration.temperature:.4g} + "
            f"{calibration.bias:.4g}), fitted on validation. It holds at the share of malignant "
            "nodes of this cohort."
        )
    points = [
        f"- `{point.name}`: called positive from a raw probability of {point.threshold:.4g}"
        + (
            f" (validation: sensitivity {point.sensitivity:.3f}, specificity "
            f"{point.specificity:.3f})"
            if point.sensitivity is not None and point.specificity is not None
            else ""
        )
        for point in about.operating_points
    ]
    yield "\n".join(points) or "No operating point."


def _limits(about: About) -> Iterator[str]:
    limits = [
        "Tested on one cohort, divided; on no other hospital's scans.",
        "It scores nodes that someone has marked; it finds none.",
        "Scanners, slice thicknesses, contrast phases and organs that the cohort lacks are not "
        "covered.",
        "With few malignant nodes the intervals are wide: read the interval, not only the value.",
        *_cohort(about).get("notes", []),
    ]
    if about.phantom:
        limits.insert(0, "Phantoms are simpler than patients: no figure here applies to patients.")
    yield "## Limits"
    yield "\n".join(f"- {limit}" for limit in limits)
    yield "**Research use only.** No decision about a patient may rest on it."


def _again(about: About) -> Iterator[str]:
    yield "## How to make it again"
    yield "\n".join(f"    {command}" for command in about.how_to_make_again.split(" && "))


def _cohort(about: About) -> dict[str, Any]:
    return about.cohort or {}


def _interval(metric: Metric | None) -> str:
    if metric is None:
        return ""
    if metric.low is None or metric.high is None:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})"
