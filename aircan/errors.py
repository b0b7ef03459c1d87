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

Imports nothing of ours. `N_` marks sentences for translation; `%(name)s` takes the facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, ClassVar


def N_(text: str) -> str:  # noqa: N802 - the name that gettext tools look for
    """Mark a sentence for translation and return it unchanged."""
    return text


class Blame(str, Enum):
    """Who must act: the publisher, the operator, nobody (it passes), or we."""

    DATA = "DATA"
    CONFIG = "CONFIG"
    NETWORK = "NETWORK"
    BUG = "BUG"


class AircanError(Exception):
    """Root of the tree. Leaves are raised with facts, not with sentences.

    Args:
        detail: a line for the log, never shown to readers of a page.
        facts: values for the sentence; `line`, `field` and `value` say where.
    """

    code: ClassVar[str] = "aircan"
    blame: ClassVar[Blame] = Blame.BUG
    retryable: ClassVar[bool] = False
    sentence: ClassVar[str] = N_("Something failed.")
    advice: ClassVar[str] = ""

    def __init__(self, detail: str = "", **facts: Any) -> None:
        self.detail = detail
        self.facts = facts
        super().__init__(f"{self.message} [{detail}]" if detail else self.message)

    @property
    def message(self) -> str:
        """What happened and what to do, in English."""
        return fill(f"{self.sentence} {self.advice}".strip(), self.facts)

    def to_dict(self) -> dict[str, Any]:
        """Return {"code", "blame", "retryable", "message", "detail", "facts", "line", "field"}."""
        return {
            "code": self.code,
            "blame": self.blame.value,
            "retryable": self.retryable,
            "message": self.message,
            "detail": self.detail,
            "facts": {k: v for k, v in self.facts.items() if v is not None},
            "line": self.facts.get("line"),
            "field": self.facts.get("field"),
        }


class _Blanks(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def fill(sentence: str, facts: dict[str, Any]) -> str:
    """Put facts into a sentence; a fact that is missing shows as "?"."""
    return sentence % _Blanks(facts)


class OrderRefused(AircanError):
    """The order lacks a field or holds a wrong value. Facts: field."""

    code = "order_refused"
    blame = Blame.CONFIG
    sentence = N_("The order of this run cannot be used: the field %(field)s is missing or wrong.")
    advice = N_("Check the parameters with which the run was submitted.")


class FetchFailed(AircanError):
    """The bytes could not be had."""

    code = "fetch_failed"
    blame = Blame.NETWORK
    retryable = True
    sentence = N_("The file could not be fetched.")
    advice = N_("Run again in a while.")


class SourceMissing(FetchFailed):
    """The uploaded file is not in CKAN's storage. Facts: name."""

    code = "source_missing"
    blame = Blame.DATA
    retryable = False
    sentence = N_("The uploaded file %(name)s is not in the storage of this site.")
    advice = N_("Upload the file again.")


class LinkRefused(FetchFailed):
    """The server answered with an error status. Facts: url, http_status."""

    code = "link_refused"
    blame = Blame.DATA
    retryable = False
    sentence = N_("The link %(url)s was answered with status %(http_status)s instead of the file.")
    advice = N_("Open the link in a private browser window; correct it or make it public, then run again.")


class LinkFailed(FetchFailed):
    """No connection, a broken transfer or a wrong certificate. Facts: url."""

    code = "link_failed"
    sentence = N_("The file behind the link %(url)s could not be downloaded: the connection failed.")
    advice = N_("Check the address; if it is right, run again in a while.")


class LinkTimedOut(FetchFailed):
    """The server did not answer in time. Facts: url, timeout_s."""

    code = "link_timed_out"
    sentence = N_("The server of the link %(url)s did not answer within %(timeout_s)s seconds.")
    advice = N_("Run again in a while.")


class TooLarge(FetchFailed):
    """The file is larger than the limit. Facts: size_bytes (at least), limit_bytes."""

    code = "too_large"
    blame = Blame.DATA
    retryable = False
    sentence = N_("The file is larger than the limit of %(limit_bytes)s bytes.")
    advice = N_("Split the file, or ask the operators of this site to raise the limit.")


class PrivateAddress(FetchFailed):
    """The link leads to an address inside the site's own network. Facts: host."""

    code = "private_address"
    blame = Blame.CONFIG
    retryable = False
    sentence = N_("The link leads to %(host)s, an address inside a private network, which is not fetched.")
    advice = N_("Use a public address, or ask the operators of this site to allow this host.")


class FileUnreadable(AircanError):
    """The bytes are not a table that we can read."""

    code = "file_unreadable"
    blame = Blame.DATA
    sentence = N_("The file could not be read as a table.")
    advice = N_("Open the file in the program that made it, export it as CSV in UTF-8, and upload it again.")


class FileEmpty(FileUnreadable):
    """The file has no byte, or nothing but blanks."""

    code = "file_empty"
    sentence = N_("The file is empty.")
    advice = N_("Upload a file with a header line and at least one row.")


class FileIsHtml(FileUnreadable):
    """A web page instead of data: a sign-in page, a 404 page."""

    code = "file_is_html"
    sentence = N_("Instead of data there is a web page (HTML), as a sign-in or error page would be.")
    advice = N_(
        "If this is a link, open it in a private browser window and use the address of the file itself; "
        "if it is an upload, upload the data instead of the saved page."
    )


class PageIsSignIn(FileIsHtml):
    """A web page that asks who you are. Facts: title."""

    code = "page_is_sign_in"
    sentence = N_("Instead of data there is a sign-in page: %(title)s.")
    advice = N_("Use an address that works in a private browser window without signing in, or upload the file itself.")


class PageIsNotFound(FileIsHtml):
    """A web page that says that there is nothing here. Facts: title."""

    code = "page_is_not_found"
    sentence = N_("Instead of data there is an error page: %(title)s.")
    advice = N_("Open the link in a private browser window and correct it, or upload the file itself.")


class JsonInvalid(FileUnreadable):
    """The text is no JSON from some place on, or ends too early. Facts: line, byte (from 1), reason."""

    code = "json_invalid"
    sentence = N_("The JSON cannot be read beyond line %(line)s (byte %(byte)s of the file): %(reason)s.")
    advice = N_("Check that the file is whole, write it again with the program that made it, and upload it again.")


class JsonIsError(FileUnreadable):
    """An API's error instead of its data. Facts: said."""

    code = "json_is_error"
    sentence = N_("Instead of data there is an error message: %(said)s.")
    advice = N_("Open the link in a private browser window and correct it; often a parameter or a key is missing.")


class RecordsMissing(FileUnreadable):
    """No list of records in the JSON, or several. Facts: wanted (path that was asked for), lists (paths there are)."""

    code = "records_missing"
    sentence = N_("It is not clear where in the JSON the records are. Lists in it: %(lists)s.")
    advice = N_("Name the list in the parameter records, for example data.items, or upload a list of objects.")


class FileDamaged(FileUnreadable):
    """An archive or a Parquet file is cut short or broken. Facts: found (its kind), reason."""

    code = "file_damaged"
    sentence = N_("The file is %(found)s, but it is damaged or not whole: %(reason)s.")
    advice = N_("Check that it opens on your computer, make it again if not, and upload it again.")


class FileEncrypted(FileUnreadable):
    """An archive or a Parquet file asks for a password or a key. Facts: found (its kind)."""

    code = "file_encrypted"
    sentence = N_("The file is %(found)s and encrypted, so its rows cannot be read.")
    advice = N_("Upload it without a password.")


class ArchiveAmbiguous(FileUnreadable):
    """Several files of an archive could be meant, or none is as asked. Facts: members (their names), wanted."""

    code = "archive_ambiguous"
    sentence = N_("It is not clear which file of the archive is meant. Files in it: %(members)s.")
    advice = N_("Name the file in the parameter member, or upload an archive with one data file.")


class ArchiveEmpty(FileUnreadable):
    """No file with data is in the archive. Facts: members (what is in it)."""

    code = "archive_empty"
    sentence = N_("The archive holds no file with data. Files in it: %(members)s.")
    advice = N_("Put the data file into the archive, or upload it as it is.")


class ArchiveBomb(FileUnreadable):
    """An archive unpacks to far more than its size, or holds archives in archives. Facts: size_bytes, limit_bytes."""

    code = "archive_bomb"
    sentence = N_("The archive unpacks to more than %(limit_bytes)s bytes, which for its size is not plausible.")
    advice = N_("Upload the file unpacked, or split it.")


class FormatUnknown(FileUnreadable):
    """The bytes are of a format that is not loaded. Facts: found (e.g. "PDF")."""

    code = "format_unknown"
    sentence = N_("The file is %(found)s, which cannot be loaded.")
    advice = N_("Export the table as CSV in UTF-8 and upload that.")


class HeaderMissing(FileUnreadable):
    """There is no line that could be a header. Facts: line."""

    code = "header_missing"
    sentence = N_("No header line was found: line %(line)s has no name in any cell.")
    advice = N_("Put the names of the columns in the first line of the file.")


class EncodingUnknown(FileUnreadable):
    """The bytes fit no encoding that we know, or not the one named. Facts: encoding, line."""

    code = "encoding_unknown"
    sentence = N_("The text of the file is not valid in the encoding %(encoding)s, first in line %(line)s.")
    advice = N_("Save the file as UTF-8 and upload it again.")


class TooManyColumns(FileUnreadable):
    """More columns than a PostgreSQL table takes. Facts: columns, limit."""

    code = "too_many_columns"
    sentence = N_("The header has %(columns)s columns; a table can have at most %(limit)s.")
    advice = N_("Turn columns into rows, or check that the delimiter is right.")


class NotTabular(FileUnreadable):
    """The reader gave up at a place it can name. Facts: line, reason."""

    code = "not_tabular"
    sentence = N_("The file could not be read beyond line %(line)s: %(reason)s.")
    advice = N_(
        "Look at this line in a text editor: often a quote is not closed. Correct the file and upload it again."
    )


class WorkbookEncrypted(FileUnreadable):
    """The workbook asks for a password."""

    code = "workbook_encrypted"
    sentence = N_("The workbook is protected by a password, so its rows cannot be read.")
    advice = N_("Remove the password (in Excel: File, Info, Protect Workbook) and upload the file again.")


class WorkbookDamaged(FileUnreadable):
    """The container or the markup of a workbook is broken, or made to exhaust its reader. Facts: reason."""

    code = "workbook_damaged"
    sentence = N_("The workbook is damaged and cannot be read: %(reason)s.")
    advice = N_("Open it in the program that made it, save it under a new name, and upload that.")


class WorkbookEmpty(FileUnreadable):
    """No sheet, or not the one that was asked for, holds a cell with a value. Facts: sheet (may be missing)."""

    code = "workbook_empty"
    sentence = N_("The workbook has no sheet with data in it that could be loaded.")
    advice = N_("Check that the table is on a visible sheet, or name the sheet in the parameters.")


class SheetMissing(FileUnreadable):
    """The workbook has no sheet of that name or number. Facts: sheet, sheets."""

    code = "sheet_missing"
    sentence = N_("The workbook has no sheet %(sheet)s; its sheets are: %(sheets)s.")
    advice = N_("Correct the parameter sheet, or rename the sheet in the workbook.")


class SheetTooLarge(FileUnreadable):
    """The sheet spans more cells than can be held. Facts: cells, limit."""

    code = "sheet_too_large"
    sentence = N_("The sheet spans %(cells)s cells; in a workbook of this kind at most %(limit)s can be read.")
    advice = N_("Delete stray cells far from the table, or save the workbook as XLSX or the sheet as CSV.")


class RowsRefused(AircanError):
    """More rows do not fit than the site allows. Facts: rejected, rows, limit_percent, line, first."""

    code = "rows_refused"
    blame = Blame.DATA
    sentence = N_(
        "%(rejected)s of %(rows)s rows do not fit the table, first in line %(line)s: %(first)s. "
        "More than %(limit_percent)s %% are not accepted."
    )
    advice = N_("Correct the rows listed below and upload the file again.")


class LoadFailed(AircanError):
    """The table could not be made."""

    code = "load_failed"
    sentence = N_("The table could not be made.")
    advice = N_("Run again; if it fails again, send the id of this run to the operators of this site.")


class ValueRefused(LoadFailed):
    """PostgreSQL refused a value. Facts: line (may be missing), field, value."""

    code = "value_refused"
    blame = Blame.DATA
    sentence = N_("The database refused a value in line %(line)s, column %(field)s: %(value)s.")
    advice = N_("Correct this value, or change the column's type in the data dictionary, then run again.")


class RowsMissing(LoadFailed):
    """The hidden table does not hold the rows that were read. Facts: rows, loaded."""

    code = "rows_missing"
    sentence = N_("%(rows)s rows were read but %(loaded)s arrived in the table, so it was not published.")
    advice = N_("Run again; if it fails again, send the id of this run to the operators of this site.")


class DatastoreUnavailable(LoadFailed):
    """The DataStore's database cannot be reached, or is full or read-only."""

    code = "datastore_unavailable"
    blame = Blame.NETWORK
    retryable = True
    sentence = N_("The database of the DataStore could not be used.")
    advice = N_("Run again in a while; if it fails again, tell the operators of this site.")


class DatastoreMisconfigured(LoadFailed):
    """The DataStore's database does not let its write role do what a load needs, or its address is not set."""

    code = "datastore_misconfigured"
    blame = Blame.CONFIG
    sentence = N_("The database of the DataStore does not allow what a load needs.")
    advice = N_("The operators of this site can check it with: ckan aircan doctor.")


class TableBusy(LoadFailed):
    """The lock for the swap could not be had. Facts: tries, seconds."""

    code = "table_busy"
    blame = Blame.NETWORK
    retryable = True
    sentence = N_(
        "The new table is complete but could not be put in place: others kept the old one busy for %(seconds)s seconds."
    )
    advice = N_("Run again in a while.")


class TableInUse(LoadFailed):
    """Objects that we did not make depend on the old table. Facts: objects."""

    code = "table_in_use"
    blame = Blame.CONFIG
    sentence = N_("The old table cannot be replaced because other database objects depend on it: %(objects)s.")
    advice = N_("The operators of this site must remove them or make them anew.")


class MetadataUnsaved(LoadFailed):
    """The table is live, but CKAN could not be told of it (say, its search index is away)."""

    code = "metadata_unsaved"
    blame = Blame.NETWORK
    retryable = True
    sentence = N_("The new rows are in the table, but the pages of the dataset could not be told of it.")
    advice = N_("Run again in a while; if it fails again, tell the operators of this site.")


class PublishVetoed(LoadFailed):
    """An extension of the site refused the new table. Facts: reason."""

    code = "publish_vetoed"
    blame = Blame.DATA
    sentence = N_("This site did not accept the new table: %(reason)s")
    advice = N_("Correct the file and upload it again.")


class TableMissing(LoadFailed):
    """Rows are to be deleted, and there is no table."""

    code = "table_missing"
    blame = Blame.DATA
    sentence = N_("There is no table from which rows could be deleted.")
    advice = N_("Load a file first, or submit the run without the parameter write.")


class ColumnsDiffer(LoadFailed):
    """Rows are to be added, and the file has columns that the table has not. Facts: fields, columns."""

    code = "columns_differ"
    blame = Blame.DATA
    sentence = N_("The file has columns that the table does not have: %(fields)s. The table has: %(columns)s.")
    advice = N_("Name the columns as in the table, leave the others out, or replace the whole table.")


class TypesChanged(LoadFailed):
    """The file would change types of columns, and the order forbids it. Facts: fields, first, line, field."""

    code = "types_changed"
    blame = Blame.DATA
    sentence = N_("The file would change the types of these columns: %(fields)s. The first: %(first)s.")
    advice = N_("Correct the file, or allow new types with the parameter on_type_change, then run again.")


class KeyUnusable(LoadFailed):
    """A column cannot be part of the key. Facts: field, reason."""

    code = "key_unusable"
    blame = Blame.DATA
    sentence = N_("The column %(field)s cannot be part of the key: %(reason)s.")
    advice = N_("Check the parameter key: it takes the names of columns as they are in the table.")


class KeyNotUnique(LoadFailed):
    """A key is missing, or stands in more than one row. Facts: key, first, count, line."""

    code = "key_not_unique"
    blame = Blame.DATA
    sentence = N_("The key (%(key)s) does not name each row once: %(first)s. Rows in question: %(count)s.")
    advice = N_("Correct these rows or choose another key, then run again. The table is as it was.")


class FactoryFailed(AircanError):
    """The one who should carry out the order did not."""

    code = "factory_failed"
    blame = Blame.CONFIG
    retryable = True
    sentence = N_("The factory %(factory)s did not carry out the run.")
    advice = N_("Run again; if it fails again, tell the operators of this site.")


class FactoryUnavailable(FactoryFailed):
    """The factory cannot be reached, or is not configured. Facts: factory."""

    code = "factory_unavailable"
    sentence = N_("The factory %(factory)s could not be reached or is not configured.")
    advice = N_("The operators of this site can check it with: ckan aircan doctor.")


class WorkerLost(FactoryFailed):
    """The worker that carried out the run is gone. Facts: seconds."""

    code = "worker_lost"
    blame = Blame.NETWORK
    sentence = N_("The worker that carried out this run gave no sign of life for %(seconds)s seconds and is lost.")
    advice = N_("Run again. The table is as it was before this run.")


class TookTooLong(FactoryFailed):
    """The run passed the time limit. Facts: limit_s."""

    code = "took_too_long"
    sentence = N_("The run was stopped after the time limit of %(limit_s)s seconds.")
    advice = N_("Run again when less is going on, or ask the operators of this site to raise the limit.")


class NeverStarted(FactoryFailed):
    """No worker took the run. Facts: seconds."""

    code = "never_started"
    sentence = N_("No worker took up this run within %(seconds)s seconds.")
    advice = N_("The operators of this site can check with: ckan aircan doctor.")


class JobStopped(AircanError):
    """Somebody cancelled the job, or it is final already; the run ends without a further report."""

    code = "job_stopped"
    blame = Blame.DATA
    sentence = N_("The run was cancelled.")


class Unexpected(AircanError):
    """A defect of ours: an exception that no step translated. Facts: job_id."""

    code = "unexpected"
    sentence = N_("AirCan failed in a way that it should not.")
    advice = N_("Send the id of this run to the operators of this site. The table is as it was before this run.")


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
