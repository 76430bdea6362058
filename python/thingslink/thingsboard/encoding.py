"""What stands in JSON for objects that JSON does not know."""

import dataclasses
import datetime as dt
import enum
import uuid


def replace(value: object) -> object:
    """Dates and times as ISO text, UUIDs as text, enumerations as their values, dataclasses as dicts."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")
