Tables are built hidden and swapped in by one short transaction, and equal those that the DataStore API makes.
