"""Where a site's HL7 messages keep what a finding needs: a YAML file, or the default layout."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from lnscore.errors import Refusal

MAX_BYTES = 1 << 20
PLACE = re.compile(r"(PID|OBR|OBX)-([1-9][0-9]?)(?:\.([1-9][0-9]?))?")
STATION_PLACES = ("OBX-4", "OBX-5", "OBX-3.2")


def _place(text: str) -> str:
    if not PLACE.fullmatch(text):
        raise ValueError(f"'{text}' is no place such as OBR-3.1 in PID, OBR or OBX")
    return text


def _station_place(text: str) -> str:
    if text not in STATION_PLACES:
        raise ValueError(f"'{text}' is none of {', '.join(STATION_PLACES)}")
    return text


Place = Annotated[str, AfterValidator(_place)]
StationPlace = Annotated[str, AfterValidator(_station_place)]


class Layout(BaseModel):
    """What stands where in an ORU^R01 message; the defaults are the default layout.

    A place is SEGMENT-FIELD or SEGMENT-FIELD.COMPONENT; without a component it is the first.
    An identifier is what OBX-3.1 or OBX-3.4 holds.

    Attributes:
        patient: Of the patient's id. Of a repeated field the one that the next two name.
        assigning_authority: PID-3.4 of that id; empty where there is only one id.
        identifier_type: PID-3.5 of that id, such as MR.
        report_id: Of the report's number.
        report_date: Of the day of the report.
        surgery_date: Of the day of surgery; the observation's own date by default.
        station: `OBX-4`, the sub-id is the station; `OBX-3.2`, the identifier's text is; or
            `OBX-5`, an observation with an identifier of `stations` has it as its value, and
            OBX-4 says which counts go with it.
        stations: Identifiers of observations whose value is a station (only for `OBX-5`).
        station_system: System of all stations, as JES11; empty where `station_system_at` says.
        station_system_at: Place in the station's OBX that names the system.
        examined: Identifiers of the number of examined nodes.
        positive: Identifiers of the number of nodes with metastasis.
        status: Identifiers of a status in words or as a code.
        words: Such a word or code to `positive`, `negative`, `not_sampled`, `indeterminate`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    patient: Place = "PID-3.1"
    assigning_authority: str = ""
    identifier_type: str = ""
    report_id: Place = "OBR-3.1"
    report_date: Place = "OBR-22"
    surgery_date: Place = "OBR-7"
    station: StationPlace = "OBX-4"
    stations: tuple[str, ...] = ()
    station_system: str = ""
    station_system_at: Place | None = None
    examined: tuple[str, ...] = ("21894-1", "92833-3", "444025001")
    positive: tuple[str, ...] = ("21893-3", "443527007")
    status: tuple[str, ...] = ()
    words: dict[str, str] = {
        "10828004": "positive",
        "260385009": "negative",
        "82334004": "indeterminate",
    }


def read_layout(path: Path) -> Layout:
    """Read a site's layout.

    Raises:
        Refusal: P18, it is no such YAML file, with what is wrong in it.
    """
    import yaml

    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise _unusable(path, f"more than {MAX_BYTES} bytes")
        # Every scalar as text: a code of digits is no number.
        return Layout.model_validate(yaml.load(text, Loader=yaml.BaseLoader) or {})
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}"
            for one in error.errors()[:3]
        )
        raise _unusable(path, wrong) from None
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__) from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        told = " ".join(str(error).split())[:200]
        raise _unusable(path, f"{type(error).__name__}: {told}") from None


def _unusable(path: Path, found: str) -> Refusal:
    return Refusal(
        "P18",
        f"layout {path.name}: {found}",
        "a YAML file that says what stands where in the messages",
        "Correct it; see docs/records.md.",
    )
