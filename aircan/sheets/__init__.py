"""Spreadsheets taken apart: which file is one, its sheets, its cells as text, and what a reader does not tell.

Imports only `columns`, `contract`, `errors`, `ports`, `table` and `text`.
"""
