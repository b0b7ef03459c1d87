The plugin `aircan_connector`: a new or changed file or link starts a run by itself; actions to submit, look at, cancel and retry
runs; `ckan aircan` for the shell; reconcile and doctor for operators; `IAircan` for other extensions.
