An archive whose name says what is in it (`towns.csv.zip`, `towns.json.gz`) starts a run by itself.
