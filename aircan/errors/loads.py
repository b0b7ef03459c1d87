"""What is wrong with a load: rows that do not fit, a table that cannot be made. Imports the root of the tree."""

from __future__ import annotations

from .base import N_, AircanError, Blame


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


class StageMissing(LoadFailed):
    """There is no hidden table: it was never begun, or it was dropped."""

    code = "stage_missing"
    sentence = N_("The rows of this run have no table to go into: it was never begun, or was dropped meanwhile.")
    advice = N_("Run again; if it fails again, send the id of this run to the operators of this site.")


class StageClosed(LoadFailed):
    """The hidden table is being published, or was, and takes no rows."""

    code = "stage_closed"
    sentence = N_("The rows of this run are being published or have been; nothing can be added or changed now.")
    advice = N_("Run again if the table is not as it should be.")
