"""Write Hugging Face datasets, as `save_to_disk` leaves them on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from augforge.data.ids import key
from augforge.io.tables import feature_list, features_of, groups
from augforge.io.writing import Line, Outlet, Row, Shard, Writer


class DatasetWriter(Writer):
    """A `DatasetDict` directory, as `save_to_disk` would leave it: `train/data-00000-of-00003.arrow`, and so on."""

    def write(self, shard: Shard, rows: Iterable[Row], outlet: Outlet) -> list[Line]:
        """One Arrow file."""
        import pyarrow as pa

        schema = features_of(self.about).arrow_schema
        with outlet.open(_arrow_file(shard)) as file, pa.ipc.new_stream(file, schema) as stream:
            for group in groups(rows, self.about, schema):
                stream.write_table(group)
        return []

    def finish(self, shards: Sequence[Shard], lines: Callable[[Shard], list[Line]], outlet: Outlet) -> None:
        """What `load_from_disk` reads first: the splits, their files and their columns."""
        for split in self.about.splits:
            names = [_arrow_file(shard) for shard in shards if shard.split == split]
            digests = [outlet.files[name][1] for name in names]
            state: dict[str, Any] = {
                "_data_files": [{"filename": name.partition("/")[2]} for name in names],
                "_fingerprint": key("export", digests)[:16],
                "_format_columns": None,
                "_format_kwargs": {},
                "_format_type": None,
                "_output_all_columns": False,
                "_split": split,
            }
            outlet.put(f"{split}/dataset_info.json", _json_bytes({"features": features_of(self.about).to_dict()}))
            outlet.put(f"{split}/state.json", _json_bytes(state))
        outlet.put("dataset_dict.json", _json_bytes({"splits": list(self.about.splits)}))

    def card(self) -> dict[str, Any]:
        """The columns; a directory of `save_to_disk` is loaded with `load_from_disk`, not by the hub."""
        return {"dataset_info": {"features": feature_list(self.about)}}

    def croissant(self) -> dict[str, Any]:
        """The files only: Croissant has no way to read Arrow streams."""
        return {"files": ["*/*.arrow"], "encoding": "application/vnd.apache.arrow.stream", "columns": {}}


def _arrow_file(shard: Shard) -> str:
    return f"{shard.split}/data-{shard.number:05d}-of-{shard.total:05d}.arrow"


def _json_bytes(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()
