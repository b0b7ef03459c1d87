"""The CKAN extension `aircan_connector`: from an upload to a run that everybody can see."""
