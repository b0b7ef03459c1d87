What was found wrong in a file can be set once and is kept with it (sheet, header, delimiter, encoding, dates, write mode and more): actions
`aircan_settings_show` and `aircan_settings_update`.
