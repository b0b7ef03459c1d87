A CKAN that offers its DataStore API and nothing of ours can be loaded too (`aircan.apisink`): the same reading and typing, sent in batches; the
old rows go only when all new ones are there.
