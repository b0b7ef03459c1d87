A run can add the rows of a file to the table (`write=append`), put them over the rows with the same key (`upsert`), or delete
the rows whose keys are in the file (`delete`): all of them or none, while readers go on.
