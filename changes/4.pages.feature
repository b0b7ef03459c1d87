What cannot be found out in a file can be set once and is kept with it (sheet, header, delimiter, encoding, dates, write mode and more): the page
*Settings of this file*, the actions `aircan_settings_show` and `aircan_settings_update`, and `ckan aircan settings`.
