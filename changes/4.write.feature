A run can add the rows of a file to the table (`write=append`), put them over the rows with the same key (`upsert`), or delete
the rows whose keys are in the file (`delete`): all of them or none, while readers go on.
A run that replaces a table says which columns and types are not as before; with `on_type_change=fail` it keeps the table instead of changing a type.
