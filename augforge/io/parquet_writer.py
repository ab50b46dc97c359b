"""Write Parquet files as the Hugging Face Hub wants them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from augforge.io.tables import THINGS, columns_of, feature_list, features_of, groups, parts_of
from augforge.io.writing import Line, Outlet, Row, Shard, Writer


class ParquetWriter(Writer):
    """`data/train-00000-of-00003.parquet`, to be uploaded as they are: small row groups, columns that the hub knows."""

    shard_bytes: ClassVar[int] = 400 << 20

    def write(self, shard: Shard, rows: Iterable[Row], outlet: Outlet) -> list[Line]:
        """One file."""
        import pyarrow.parquet as pq

        schema = features_of(self.about).arrow_schema
        with outlet.open(f"data/{shard.name}.parquet") as file, pq.ParquetWriter(file, schema) as parquet:
            for group in groups(rows, self.about, schema):
                parquet.write_table(group)
        return []

    def card(self) -> dict[str, Any]:
        """A data file pattern a split, and the columns."""
        files = [{"split": split, "path": f"data/{split}-*"} for split in self.about.splits]
        configs = [{"config_name": "default", "data_files": files}]
        return {"configs": configs, "dataset_info": {"features": feature_list(self.about)}}

    def croissant(self) -> dict[str, Any]:
        """The columns."""
        names = [name for name in features_of(self.about) if name != "scores"]
        columns: dict[str, Any] = {name: {"column": name} for name in names}
        for name in ("image", *self.about.pictures):
            columns[name] = {"column": name, "path": "bytes"}
        if self.about.classes:
            columns["label"] = {"column": "label", "type": "sc:Integer"}
        columns |= {name: parts_of(kind, name) for name, kind in columns_of(self.about).items() if name in THINGS}
        return {"files": ["data/*.parquet"], "encoding": "application/x-parquet", "columns": columns}
