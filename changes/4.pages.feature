What cannot be found out in a file can be set once and is kept with it (sheet, header, delimiter, encoding, dates, write mode and more): the page
*Settings of this file*, the actions `aircan_settings_show` and `aircan_settings_update`, and `ckan aircan settings`.
The bar of a run covers all of it, the index included, never goes back and is full only at the end; each step, the index too, says how long it
still takes: on the page, in `aircan_job_show` and in `aircan run`.
The page of a run says what was found in the file, with the evidence for each, also when the run failed; the list has buttons to cancel and to try
again.
