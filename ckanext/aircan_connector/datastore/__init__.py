"""THE ONLY SQL on the DataStore: a hidden stage, COPY into it, the swap that publishes it, and what keeps it tidy.

    names       what our tables, functions and indexes are called
    connect     connections, and PostgreSQL's errors in our words
    vector      the trigger that fills `_full_text`
    feed        what COPY reads from
    stage       the hidden table: begin, put, count
    catalogue   what the old table has that the new one must have, too
    indexes     the indexes that CKAN would make, and those that people made
    dress       makes a stage look like a table of the API
    publish     the swap
    merge       rows that are added, changed or deleted in the live table instead
    sink        DirectSink: all of this as a port of the library
    dictionary  the columns of a live table, and types that people chose for them
    janitor     what killed runs left behind
    flag        what CKAN itself must know of a new table
    health      what would keep loads from working

May import the library, `config`, and CKAN; never `model`, `jobs` or anything above.
"""
