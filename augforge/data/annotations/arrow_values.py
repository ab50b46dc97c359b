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
_BYTES = frozenset({"binary", "large_binary", "binary_view"})
_RENAMED = {
    "halffloat": "float16",
    "float": "float32",
    "double": "float64",
    "date32[day]": "date32",
    "date64[ms]": "date64",
    "large_string": "string",
    "string_view": "string",
}
"""The names of Arrow types that `datasets` calls otherwise."""


def type_name(kind: pa.DataType) -> str | None:
    """The name of a type, as `datasets` calls its dtypes: "int64", "list<item: string>", "struct<a: float32>".

    How a column is stored does not count: a dictionary of texts, views and large texts are "string". None for what has
    no form in JSON, such as bytes, and for structs with odd field names.
    """
    import pyarrow.types as t

    if t.is_dictionary(kind):
        return type_name(kind.value_type)
    if t.is_struct(kind):
        return _struct_name(kind)
    if t.is_map(kind):
        return None
    if hasattr(kind, "value_type"):
        name = type_name(kind.value_type)
        return None if name is None else f"list<item: {name}>"
    return _plain_name(str(kind))


def _struct_name(kind: pa.StructType) -> str | None:
    inner = [(field.name, type_name(field.type)) for field in kind]
    sound = inner and all(name and _PLAIN_NAME.fullmatch(field) for field, name in inner)
    return f"struct<{', '.join(f'{field}: {name}' for field, name in inner)}>" if sound else None


def _plain_name(name: str) -> str | None:
    unknown = name.startswith(("fixed_size_binary", "extension", "month_day", "null", "dense_union", "sparse_union"))
    return None if unknown or name in _BYTES else _RENAMED.get(name, name)


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
    if name.startswith("list<") and isinstance(value, list):
        return [from_json(each, _inner(name)) for each in value]
    if name.startswith("struct<") and isinstance(value, Mapping):
        return {field: from_json(value.get(field), kind) for field, kind in fields(name).items()}
    if isinstance(value, str):
        return _of_text(value, name)
    is_text = name == "string" and value is not None
    return json.dumps(value, sort_keys=True, ensure_ascii=False) if is_text else value


def _of_text(text: str, name: str) -> Any:
    """The value of a type whose form in JSON is this text."""
    if name.startswith("timestamp[ns"):
        from pandas import Timestamp  # Python's own times have microseconds only

        return Timestamp(text)
    read = _READ.get(re.split(r"[\[(]", name)[0])
    return read(text) if read else text


def _duration(text: str) -> timedelta:
    return timedelta(microseconds=int(Decimal(text) * 1_000_000))


_READ: dict[str, Callable[[str], Any]] = {
    "timestamp": datetime.fromisoformat,
    "date32": date.fromisoformat,
    "date64": date.fromisoformat,
    "time32": time.fromisoformat,
    "time64": time.fromisoformat,
    "decimal128": Decimal,
    "decimal256": Decimal,
    "duration": _duration,
    "float16": float,
    "float32": float,
    "float64": float,
}
"""What turns the text of a value of a type into the value; of an unlisted type, the text is the value."""


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
