"""Layout of a site's HL7 messages: the place of each value, from a YAML file or by default."""

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
    """Places of the values in an ORU^R01 message; the defaults are the default layout.

    A place is SEGMENT-FIELD or SEGMENT-FIELD.COMPONENT; without a component, the first one is
    meant. An identifier is the code in OBX-3.1 or OBX-3.4.

    Attributes:
        patient: Place of the patient's id. If the field repeats, the next two attributes choose
            one of the ids.
        assigning_authority: PID-3.4 of that id; empty if there is only one id.
        identifier_type: PID-3.5 of that id, such as MR.
        report_id: Place of the report's number.
        report_date: Place of the day of the report.
        surgery_date: Place of the day of surgery; the observation's own date by default.
        station: Place of the station. `OBX-4`: the sub-id is the station. `OBX-3.2`: the text
            of the identifier is the station. `OBX-5`: the station is the value of an
            observation with an identifier of `stations`; its counts have the same OBX-4.
        stations: Identifiers of observations whose value is a station (only for `OBX-5`).
        station_system: System of all stations, such as JES11; empty if `station_system_at` is
            given.
        station_system_at: Place in the station's OBX that names the system.
        examined: Identifiers of the number of examined nodes.
        positive: Identifiers of the number of nodes with metastasis.
        status: Identifiers of a status in words or as a code.
        words: Status (`positive`, `negative`, `not_sampled`, `indeterminate`) of each such word
            or code.
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
        Refusal: P18 if the YAML file is not a layout; the text says what is wrong in it.
    """
    import yaml

    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise _unusable(path, f"more than {MAX_BYTES} bytes")
        # Read every scalar as text: a code of digits is not a number.
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
        "a YAML file that gives the places of the values in the messages",
        "Correct it; see docs/records.md.",
    )
