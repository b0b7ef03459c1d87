"""A sink that writes into a folder, for `aircan run` without CKAN, and for tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aircan.contract import REPLACE, Field, Part, Publish, Write, Writing, Written
from aircan.errors import FolderOnlyReplaced, RowsMissing


class FolderSink:
    """Writes part-00000.csv, part-00001.csv, ... and, when published, fields.json.

    Parts are COPY text as `contract.Part` says: no header, `_id` first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._stage = folder, folder / ".stage"
        self._fields: list[Field] = []
        self._rows: dict[int, int] = {}

    def columns(self) -> list[Field] | None:
        """Return the fields of an earlier run into this folder, None when there was none."""
        described = self._folder / "fields.json"
        if not described.exists():
            return None
        found = [Field.from_dict(data) for data in json.loads(described.read_text(encoding="utf-8"))]
        return [replace(field, reason={"code": "table"}, nulls=0) for field in found]

    def begin(self, fields: Sequence[Field], writing: Writing = REPLACE) -> None:
        """Start anew; what an earlier run published stays until then. Raises FolderOnlyReplaced for other writing."""
        if writing.mode is not Write.REPLACE:
            raise FolderOnlyReplaced(field="params.write", write=writing.mode.value)
        self.discard()
        self._stage.mkdir(parents=True)
        self._fields = list(fields)

    def put(self, part: Part) -> None:
        """Write a part; one that is there already is left alone."""
        if part.number not in self._rows:
            (self._stage / f"part-{part.number:05}.csv").write_bytes(part.data)
            self._rows[part.number] = part.rows

    def publish(self, *, rows: int, when: Publish) -> Written:
        """Put the parts and fields.json in the place of earlier ones. Raises RowsMissing when they hold other rows."""
        if sum(self._rows.values()) != rows:
            raise RowsMissing(rows=rows, loaded=sum(self._rows.values()))
        described = json.dumps([field.to_dict() for field in self._fields], ensure_ascii=False, indent=1)
        (self._stage / "fields.json").write_text(described, encoding="utf-8")
        for path in [*self._folder.glob("part-*.csv"), *self._folder.glob("fields.json")]:
            path.unlink()
        for path in self._stage.iterdir():
            path.rename(self._folder / path.name)
        self._stage.rmdir()
        return Written(rows, rows)

    def discard(self) -> None:
        """Remove the parts that are not published."""
        if self._stage.exists():
            shutil.rmtree(self._stage)
        self._rows.clear()
