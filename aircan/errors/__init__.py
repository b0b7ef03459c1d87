"""The error tree. Every leaf says what happened, where, what to do, and who must act.

AircanError
    OrderRefused            the order itself is wrong
    FetchFailed             the bytes could not be had
        SourceMissing LinkRefused LinkFailed LinkTimedOut TooLarge PrivateAddress
    FileUnreadable          the bytes are not a table that we can read
        FileEmpty FileIsHtml (PageIsSignIn PageIsNotFound) FormatUnknown HeaderMissing EncodingUnknown
        TooManyColumns NotTabular JsonInvalid JsonIsError RecordsMissing FileDamaged FileEncrypted
        ArchiveAmbiguous ArchiveEmpty ArchiveBomb
        WorkbookEncrypted WorkbookDamaged WorkbookEmpty SheetMissing SheetTooLarge
    RowsRefused             too many rows do not fit
    LoadFailed              the table could not be made
        ValueRefused RowsMissing DatastoreUnavailable DatastoreMisconfigured TableBusy PublishVetoed TableInUse
        MetadataUnsaved TableMissing ColumnsDiffer TypesChanged KeyUnusable KeyNotUnique
    FactoryFailed           the one who should carry out the order did not
        FactoryUnavailable WorkerLost TookTooLong NeverStarted
    JobStopped              somebody cancelled
    Unexpected              a defect of ours

A file for each part of it: base, files, loads, work. Imports nothing else of ours. `N_` marks sentences for
translation; `%(name)s` takes the facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import (
    N_,
    AircanError,
    Blame,
    fill,
)
from .files import (
    ArchiveAmbiguous,
    ArchiveBomb,
    ArchiveEmpty,
    EncodingUnknown,
    FetchFailed,
    FileDamaged,
    FileEmpty,
    FileEncrypted,
    FileIsHtml,
    FileUnreadable,
    FormatUnknown,
    HeaderMissing,
    JsonInvalid,
    JsonIsError,
    LinkFailed,
    LinkRefused,
    LinkTimedOut,
    NotTabular,
    PageIsNotFound,
    PageIsSignIn,
    PrivateAddress,
    RecordsMissing,
    SheetMissing,
    SheetTooLarge,
    SourceMissing,
    TooLarge,
    TooManyColumns,
    WorkbookDamaged,
    WorkbookEmpty,
    WorkbookEncrypted,
)
from .loads import (
    ColumnsDiffer,
    DatastoreMisconfigured,
    DatastoreUnavailable,
    KeyNotUnique,
    KeyUnusable,
    LoadFailed,
    MetadataUnsaved,
    PublishVetoed,
    RowsMissing,
    RowsRefused,
    TableBusy,
    TableInUse,
    TableMissing,
    TypesChanged,
    ValueRefused,
)
from .work import (
    FactoryFailed,
    FactoryUnavailable,
    JobStopped,
    NeverStarted,
    OrderRefused,
    TookTooLong,
    Unexpected,
    WorkerLost,
)

__all__ = [
    "N_",
    "AircanError",
    "ArchiveAmbiguous",
    "ArchiveBomb",
    "ArchiveEmpty",
    "Blame",
    "ColumnsDiffer",
    "DatastoreMisconfigured",
    "DatastoreUnavailable",
    "EncodingUnknown",
    "FactoryFailed",
    "FactoryUnavailable",
    "FetchFailed",
    "FileDamaged",
    "FileEmpty",
    "FileEncrypted",
    "FileIsHtml",
    "FileUnreadable",
    "FormatUnknown",
    "HeaderMissing",
    "JobStopped",
    "JsonInvalid",
    "JsonIsError",
    "KeyNotUnique",
    "KeyUnusable",
    "LinkFailed",
    "LinkRefused",
    "LinkTimedOut",
    "LoadFailed",
    "MetadataUnsaved",
    "NeverStarted",
    "NotTabular",
    "OrderRefused",
    "PageIsNotFound",
    "PageIsSignIn",
    "PrivateAddress",
    "PublishVetoed",
    "RecordsMissing",
    "RowsMissing",
    "RowsRefused",
    "SheetMissing",
    "SheetTooLarge",
    "SourceMissing",
    "TableBusy",
    "TableInUse",
    "TableMissing",
    "TooLarge",
    "TooManyColumns",
    "TookTooLong",
    "TypesChanged",
    "Unexpected",
    "ValueRefused",
    "WorkbookDamaged",
    "WorkbookEmpty",
    "WorkbookEncrypted",
    "WorkerLost",
    "fill",
    "from_dict",
    "leaves",
]


def leaves() -> dict[str, type[AircanError]]:
    """Return every class of the tree by its code."""
    found: dict[str, type[AircanError]] = {}
    todo: list[type[AircanError]] = [AircanError]
    while todo:
        cls = todo.pop()
        found[cls.code] = cls
        todo.extend(cls.__subclasses__())
    return found


def from_dict(data: Mapping[str, Any]) -> AircanError:
    """Return the error of the tree that `AircanError.to_dict` told, from the other side of a wire.

    A code that this version does not know becomes Unexpected.
    """
    cls = leaves().get(str(data.get("code") or ""), Unexpected)
    detail = str(data.get("detail") or "") if cls is not Unexpected else f"{data.get('code')}: {data.get('message')}"
    return cls(detail[:1000], **dict(data.get("facts") or {}))
