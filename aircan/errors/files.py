"""What is wrong with a file: its bytes cannot be had, or are no table. Imports the root of the tree."""

from __future__ import annotations

from .base import N_, AircanError, Blame


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


class SourceChanged(FetchFailed):
    """The uploaded file was replaced while it was read. Facts: name."""

    code = "source_changed"
    blame = Blame.DATA
    sentence = N_("The file %(name)s was changed while it was read.")
    advice = N_("Run again; the new file is then loaded.")


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


class LinkServerFailed(FetchFailed):
    """The server answered with 429 or 5xx: a trouble of its own, which passes. Facts: url, http_status."""

    code = "link_server_failed"
    sentence = N_("The server of the link %(url)s is overloaded or broken: it answered with status %(http_status)s.")
    advice = N_("Run again in a while.")


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


class ReaderCrashed(FileUnreadable):
    """The process that read the file died of it. Facts: format, reason."""

    code = "reader_crashed"
    sentence = N_("The program that reads %(format)s crashed on this file: %(reason)s.")
    advice = N_("Open the file in the program that made it, save it as XLSX or CSV, and upload that.")


class ReaderOutOfMemory(FileUnreadable):
    """Reading the file took more memory than it may take. Facts: format, limit_mb."""

    code = "reader_out_of_memory"
    sentence = N_("Reading this %(format)s file took more than %(limit_mb)s MB of memory, so it was given up.")
    advice = N_("Save the table as CSV, or split it, and upload that.")
