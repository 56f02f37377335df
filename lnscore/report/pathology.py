"""Add the patient's pathology to the facts of a study: nodes, stations and the whole patient."""

from collections.abc import Mapping, Sequence
from typing import Literal

from db.records import StationKey
from db.station_rule import StationFinding, StationStatus
from lnscore.pathology import specimens
from lnscore.pathology.joining import Conflict, JoinedStation, JoinedStudy, natural
from lnscore.report.facts import (
    ConflictFacts,
    EngineFacts,
    ExclusionFacts,
    FindingFacts,
    OperatingCount,
    PathologyFacts,
    RollUp,
    ScoreFacts,
    StationFacts,
    StationPathology,
    StationStatusFacts,
    StudyFacts,
)

OESOPHAGUS = frozenset({"AJCC8", "AJCC7", "JES11", "JES12", "CHN", "TIGER"})
"""Station systems of the oesophagus, where the number of positive nodes gives the category."""

Meanings = Mapping[StationKey, str]


def with_pathology(study: StudyFacts, joined: JoinedStudy) -> StudyFacts:
    """Return the study with the pathology of its nodes and stations."""
    meanings = joined.meanings
    by_node = {(node.series_uid, node.tracking_uid): node.id for node in joined.nodes}
    ids = {by_node[node.series_uid, node.tracking_uid]: node.number for node in study.nodes}
    numbers = {number: i for i, number in ids.items()}
    nodes = [
        node.model_copy(update={"pathology": _status(joined.statuses[numbers[node.number]])})
        for node in study.nodes
    ]
    engine = study.engines[0] if study.engines else None
    scores = {
        node.number: score
        for node in nodes
        for score in node.scores
        if engine is not None and score.engine == engine.key
    }
    stations = [_station(one, joined, ids, scores) for one in joined.stations]
    facts = PathologyFacts(
        stations=stations,
        roll_up=_roll_up(joined, stations, engine, scores),
        without_node=[_finding(one, meanings) for one in joined.without_node],
        without_station=sorted(ids[i] for i in joined.without_station),
        other_systems=list(joined.other_systems),
        conflicts=[_conflict(one, meanings) for one in joined.conflicts],
        exclusions=[
            ExclusionFacts(code=one.code, text=one.text, days=one.days, nodes=one.node_count)
            for one in joined.exclusions
        ],
    )
    return study.model_copy(update={"nodes": nodes, "pathology": facts})


def pn_like(n_positive: int) -> Literal["N0", "N1", "N2", "N3"]:
    """Return the category for a number of positive regional nodes.

    Source: Rice et al., AJCC/UICC staging of cancers of the esophagus, 8th edition, 2017, table 1:
    N1 1-2, N2 3-6, N3 7 or more. Which nodes are regional is not checked here.
    """
    if n_positive == 0:
        return "N0"
    return "N1" if n_positive <= 2 else "N2" if n_positive <= 6 else "N3"


def _station(
    one: JoinedStation,
    joined: JoinedStudy,
    ids: Mapping[int, int],
    scores: Mapping[int, ScoreFacts],
) -> StationPathology:
    meanings = joined.meanings
    numbers = sorted(ids[i] for i in one.node_ids)
    told = [scores[number] for number in numbers if number in scores]
    sure = [ids[i] for i in one.node_ids if _is_sure(joined.statuses[i], one.verdict)]
    compared = _calls([scores[number] for number in sure if number in scores])
    malignant = one.verdict.status == "malignant"
    return StationPathology(
        station=_named(one.station, meanings),
        verdict=_status(one.verdict),
        findings=[_finding(finding, meanings) for finding in one.findings],
        n_examined=specimens.examined(one.counted),
        n_positive=specimens.positive(one.counted),
        nodes=numbers,
        highest=max((score.probability for score in told), default=None),
        calls=_calls(told),
        agrees={name: call == malignant for name, call in compared.items()},
    )


def _calls(scores: Sequence[ScoreFacts]) -> dict[str, bool]:
    """Return, for each operating point, whether any node is called positive."""
    names = sorted({name for score in scores for name in score.calls})
    return {name: any(score.calls.get(name, False) for score in scores) for name in names}


def _is_sure(node: StationStatus, station: StationStatus) -> bool:
    """Return whether a node's call can be compared with the status of its station.

    It can be compared if the node has the status of the station. This is not so if the node
    may lie in several stations that disagree, or if training leaves it out (P09, P10). It is
    also not so for a merged positive specimen, because the positive station is not known.
    """
    same = node.status == station.status != "unknown"
    return same and not (node.weak or station.weak or node.excluded)


def _roll_up(
    joined: JoinedStudy,
    stations: Sequence[StationPathology],
    engine: EngineFacts | None,
    scores: Mapping[int, ScoreFacts],
) -> RollUp:
    """Count positive nodes and stations of the patient, by pathology and by the engine.

    The pathology counts are over all specimens of the reports that decide, each specimen once.
    A negative specimen of a positive station counts as examined too, and so does a shared
    specimen that decides no station. A report that another report overrules does not count.
    """
    looked = joined.specimens
    positive = [one for one in looked if one.status == "positive"]
    shared = [one for one in joined.deciding if one.status == "positive" and len(one.stations) > 1]
    examined = [one.n_examined for one in looked if one.n_examined is not None]
    count = sum(1 if one.n_positive is None else one.n_positive for one in positive)
    systems = {key.system for one in looked for key in one.stations}
    calibrated = [score.calibrated_probability for score in scores.values()]
    known = [one for one in calibrated if one is not None]
    statuses = [one.verdict for one in stations]
    names = sorted({name for score in scores.values() for name in score.calls})
    return RollUp(
        n_positive=count,
        positive_is_least=any(one.n_positive is None for one in positive),
        n_examined=sum(examined) if examined else None,
        examined_is_least=len(examined) < len(looked),
        pn_like=pn_like(count) if looked and systems <= OESOPHAGUS else None,
        positive_stations=sum(one.status == "malignant" and not one.weak for one in statuses),
        merged_positive=len(shared),
        negative_stations=sum(one.status == "benign" for one in statuses),
        engine=engine.key if engine else None,
        scored_nodes=len(scores),
        expected_positive=sum(known) if known and len(known) == len(calibrated) else None,
        at=[_at(name, stations, scores) for name in names],
    )


def _at(
    name: str, stations: Sequence[StationPathology], scores: Mapping[int, ScoreFacts]
) -> OperatingCount:
    compared = [one.agrees[name] for one in stations if name in one.agrees]
    return OperatingCount(
        name=name,
        positive_nodes=sum(score.calls.get(name, False) for score in scores.values()),
        positive_stations=sum(one.calls.get(name, False) for one in stations),
        agreeing_stations=sum(compared),
        compared_stations=len(compared),
    )


def _status(one: StationStatus) -> StationStatusFacts:
    return StationStatusFacts(
        status=one.status, rule=one.rule, weak=one.weak, excluded=list(one.excluded)
    )


def _finding(one: StationFinding, meanings: Meanings) -> FindingFacts:
    ordered = sorted(one.stations, key=natural)
    return FindingFacts.model_validate(
        {
            "stations": [_named(key, meanings) for key in ordered],
            "status": one.status,
            "n_examined": one.n_examined,
            "n_positive": one.n_positive,
            "report_date": one.report_date,
            "surgery_date": one.surgery_date,
        }
    )


def _conflict(one: Conflict, meanings: Meanings) -> ConflictFacts:
    return ConflictFacts(
        station=_named(one.station, meanings),
        won=_finding(one.won, meanings),
        lost=_finding(one.lost, meanings),
    )


def _named(key: StationKey, meanings: Meanings) -> StationFacts:
    return StationFacts(
        system=key.system, version=key.version, code=key.code, meaning=meanings.get(key, "")
    )
