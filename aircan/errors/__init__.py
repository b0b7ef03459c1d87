"""The error tree. Every leaf says what happened, where, what to do, and who must act.

AircanError
    OrderRefused            the order itself is wrong
        OrderTooNew FolderOnlyReplaced
    FetchFailed             the bytes could not be had
        SourceMissing SourceChanged LinkRefused LinkFailed LinkServerFailed LinkTimedOut TooLarge PrivateAddress
    FileUnreadable          the bytes are not a table that we can read
        FileEmpty FileIsHtml (PageIsSignIn PageIsNotFound) FormatUnknown HeaderMissing EncodingUnknown
        TooManyColumns NotTabular JsonInvalid JsonIsError RecordsMissing FileDamaged FileEncrypted
        ArchiveAmbiguous ArchiveEmpty ArchiveBomb
        WorkbookEncrypted WorkbookDamaged WorkbookEmpty SheetMissing SheetTooLarge
        ReaderCrashed ReaderOutOfMemory
    RowsRefused             too many rows do not fit
    LoadFailed              the table could not be made
        ValueRefused RowsMissing DatastoreUnavailable DatastoreMisconfigured TableBusy PublishVetoed TableInUse
        MetadataUnsaved TableMissing ColumnsDiffer TypesChanged KeyUnusable KeyNotUnique StageMissing StageClosed
        ApiRefused TableUnfinished
    FactoryFailed           the one who should carry out the order did not
        FactoryUnavailable (FactoryUnreachable SignInRefused RightMissing NotTheFactory FactoryMisconfigured)
        DagMissing DagPaused DagBroken RunRefused RunVanished RunFailed RunEnded NothingReported
        WorkerLost TookTooLong NeverStarted StoreUnavailable StoreMisconfigured TaskFailed
    GatewayFailed           a worker and CKAN's gateway did not understand each other
        GatewayUnreachable GatewayAnswer TokenRefused JobClosed BodyTooLarge RequestRefused (LengthMissing PartBroken)
    JobStopped              somebody cancelled
    Unexpected              a defect of ours

A file for each part of it: api, base, files, loads, tasks, wire, work. Imports nothing else of ours. `N_` marks
sentences for translation; `%(name)s` takes the facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .api import ApiRefused, TableUnfinished
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
    LinkServerFailed,
    LinkTimedOut,
    NotTabular,
    PageIsNotFound,
    PageIsSignIn,
    PrivateAddress,
    ReaderCrashed,
    ReaderOutOfMemory,
    RecordsMissing,
    SheetMissing,
    SheetTooLarge,
    SourceChanged,
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
    StageClosed,
    StageMissing,
    TableBusy,
    TableInUse,
    TableMissing,
    TypesChanged,
    ValueRefused,
)
from .tasks import StoreMisconfigured, StoreUnavailable, TaskFailed
from .wire import (
    BodyTooLarge,
    GatewayAnswer,
    GatewayFailed,
    GatewayUnreachable,
    JobClosed,
    LengthMissing,
    PartBroken,
    RequestRefused,
    TokenRefused,
)
from .work import (
    DagBroken,
    DagMissing,
    DagPaused,
    FactoryFailed,
    FactoryMisconfigured,
    FactoryUnavailable,
    FactoryUnreachable,
    FolderOnlyReplaced,
    JobStopped,
    NeverStarted,
    NothingReported,
    NotTheFactory,
    OrderRefused,
    OrderTooNew,
    RightMissing,
    RunEnded,
    RunFailed,
    RunRefused,
    RunVanished,
    SignInRefused,
    TookTooLong,
    Unexpected,
    WorkerLost,
)

__all__ = [
    "N_",
    "AircanError",
    "ApiRefused",
    "ArchiveAmbiguous",
    "ArchiveBomb",
    "ArchiveEmpty",
    "Blame",
    "BodyTooLarge",
    "ColumnsDiffer",
    "DagBroken",
    "DagMissing",
    "DagPaused",
    "DatastoreMisconfigured",
    "DatastoreUnavailable",
    "EncodingUnknown",
    "FactoryFailed",
    "FactoryMisconfigured",
    "FactoryUnavailable",
    "FactoryUnreachable",
    "FetchFailed",
    "FileDamaged",
    "FileEmpty",
    "FileEncrypted",
    "FileIsHtml",
    "FileUnreadable",
    "FolderOnlyReplaced",
    "FormatUnknown",
    "GatewayAnswer",
    "GatewayFailed",
    "GatewayUnreachable",
    "HeaderMissing",
    "JobClosed",
    "JobStopped",
    "JsonInvalid",
    "JsonIsError",
    "KeyNotUnique",
    "KeyUnusable",
    "LengthMissing",
    "LinkFailed",
    "LinkRefused",
    "LinkServerFailed",
    "LinkTimedOut",
    "LoadFailed",
    "MetadataUnsaved",
    "NeverStarted",
    "NotTabular",
    "NotTheFactory",
    "NothingReported",
    "OrderRefused",
    "OrderTooNew",
    "PageIsNotFound",
    "PageIsSignIn",
    "PartBroken",
    "PrivateAddress",
    "PublishVetoed",
    "ReaderCrashed",
    "ReaderOutOfMemory",
    "RecordsMissing",
    "RequestRefused",
    "RightMissing",
    "RowsMissing",
    "RowsRefused",
    "RunEnded",
    "RunFailed",
    "RunRefused",
    "RunVanished",
    "SheetMissing",
    "SheetTooLarge",
    "SignInRefused",
    "SourceChanged",
    "SourceMissing",
    "StageClosed",
    "StageMissing",
    "StoreMisconfigured",
    "StoreUnavailable",
    "TableBusy",
    "TableInUse",
    "TableMissing",
    "TableUnfinished",
    "TaskFailed",
    "TokenRefused",
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
