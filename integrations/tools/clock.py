"""Date and time, anywhere."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from adapters.messages import ToolSpec
from integrations.tools.base import Invalid, ReadTool, Use, parameters

SPEC = ToolSpec(
    "date_and_time",
    "Tells the date and time now, or of a moment, in a time zone.",
    parameters(
        {
            "zone": {"type": "string", "description": "An IANA time zone such as Europe/Berlin. UTC where left out."},
            "moment": {
                "type": "string",
                "description": "ISO 8601; taken as in the zone where it names none. Now if left out.",
            },
            "add_days": {"type": "integer", "minimum": -1_000_000, "maximum": 1_000_000},
        }
    ),
    "read",
)


def clock_tool(clock: Callable[[], int]) -> ReadTool:
    """``clock`` gives the time in microseconds since 1970."""

    async def read(use: Use) -> str:
        zone = _zone(use.text("zone", "UTC"))
        given = use.text("moment")
        moment = datetime.fromtimestamp(clock() / 1_000_000, UTC) if not given else _moment(given, zone)
        try:
            # In local time: a day is a day also where the clocks change.
            local = moment.astimezone(zone) + timedelta(days=use.number("add_days"))
        except OverflowError as error:
            raise Invalid(str(error), "That is before the year 1 or after the year 9999.") from error
        year, week, _ = local.isocalendar()
        day = f"{local:%A}, {local.day} {local:%B} {local.year:04}"
        return f"{local.isoformat(timespec='seconds')}\n{day}, {local:%H:%M:%S} {zone.key}, week {week} of {year}"

    return ReadTool(SPEC, read)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # ZoneInfo opens folders as files
        raise Invalid(
            f"no time zone {name!r}", "There is no such time zone; name one such as Europe/Berlin."
        ) from error


def _moment(text: str, zone: ZoneInfo) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"no moment: {text!r}", "The moment has to be ISO 8601, such as 2026-03-01T12:00.") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
