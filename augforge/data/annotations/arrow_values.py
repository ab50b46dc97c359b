"""Values of Arrow columns as JSON, with the names of their types, and back: what `extra` carries."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_PLAIN_NAME = re.compile(r"[^\s:,<>][^:,<>]*")
_READ: dict[str, Callable[[str], Any]] = {
    "timestamp": datetime.fromisoformat,
    "date32": date.fromisoformat,
    "date64": date.fromisoformat,
    "time32": time.fromisoformat,
    "time64": time.fromisoformat,
    "decimal128": Decimal,
    "decimal256": Decimal,
    "float16": float,
    "float32": float,
    "float64": float,
}
"""What turns the text of a value of a type into the value; of an unlisted type, the text is the value."""


def type_name(kind: pa.DataType) -> str | None:
    """The name of a type, as `datasets` calls its dtypes: "int64", "list<item: string>", "struct<a: float32>".

    How a column is stored does not count: a dictionary of texts, views and large texts are "string". None for what has
    no form in JSON, such as bytes, and for structs with odd field names.
    """
    import pyarrow.types as t

    if t.is_dictionary(kind):
        return type_name(kind.value_type)
    if t.is_struct(kind):
        inner = [(field.name, type_name(field.type)) for field in kind]
        sound = inner and all(name and _PLAIN_NAME.fullmatch(field) for field, name in inner)
        return f"struct<{', '.join(f'{field}: {name}' for field, name in inner)}>" if sound else None
    if any(is_one(kind) for is_one in (t.is_list, t.is_large_list, t.is_fixed_size_list, t.is_list_view)):
        name = type_name(kind.value_type)
        return None if name is None else f"list<item: {name}>"
    if t.is_large_string(kind) or t.is_string_view(kind):
        return "string"
    if t.is_nested(kind) or any(is_one(kind) for is_one in (t.is_binary, t.is_large_binary, t.is_binary_view)):
        return None
    return _plain_name(str(kind))


def _plain_name(name: str) -> str | None:
    renamed = {"halffloat": "float16", "float": "float32", "double": "float64", "date32[day]": "date32"}
    renamed["date64[ms]"] = "date64"
    unknown = name.startswith(("fixed_size_binary", "extension", "month_day", "null"))
    return None if unknown else renamed.get(name, name)


def to_json(value: Any) -> Any:
    """A value as Arrow gives it, as JSON: times as ISO 8601, decimals as texts; NaN and infinite numbers as "nan"…"""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, timedelta):
        return str(Decimal(value // timedelta(microseconds=1)) / 1_000_000)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): to_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(each) for each in value]
    return value


def from_json(value: Any, name: str) -> Any:
    """What `to_json` made of a value of the type `name`, as Arrow takes it. A text column takes everything as text."""
    if value is None:
        return None
    if name.startswith("list<") and isinstance(value, list):
        return [from_json(each, _inner(name)) for each in value]
    if name.startswith("struct<") and isinstance(value, Mapping):
        return {field: from_json(value.get(field), kind) for field, kind in fields(name).items()}
    if name == "string":
        return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    if name.startswith("timestamp[ns") and isinstance(value, str):
        from pandas import Timestamp  # Python's own times have microseconds only

        return Timestamp(value)
    if name.startswith("duration") and isinstance(value, str):
        return timedelta(microseconds=int(Decimal(value) * 1_000_000))
    read = _READ.get(re.split(r"[\[(]", name)[0])
    return read(value) if read and isinstance(value, str) else value


def feature_of(name: str) -> Any:
    """The feature of `datasets` of a type, by its name."""
    from datasets import List, Value

    if name.startswith("list<"):
        return List(feature_of(_inner(name)))
    if name.startswith("struct<"):
        return {field: feature_of(kind) for field, kind in fields(name).items()}
    return Value(name)


def name_of(feature: Any) -> str:
    """The name of the type of a feature: what `feature_of` was given."""
    if isinstance(feature, Mapping):
        return f"struct<{', '.join(f'{field}: {name_of(kind)}' for field, kind in feature.items())}>"
    inner = getattr(feature, "feature", None)
    return str(feature.dtype) if inner is None else f"list<item: {name_of(inner)}>"


def fields(name: str) -> dict[str, str]:
    """The fields of a struct, with the names of their types."""
    found, depth, start = [], 0, 0
    inside = name.removeprefix("struct<")[:-1]
    for place, letter in enumerate(inside):
        depth += (letter in "<[(") - (letter in ">])")
        if letter == "," and depth == 0:
            found.append(inside[start:place])
            start = place + 1
    pairs = (one.strip().partition(": ") for one in [*found, inside[start:]] if one.strip())
    return {field: kind for field, _, kind in pairs}


def _inner(name: str) -> str:
    return name[5:-1].partition(": ")[2]
