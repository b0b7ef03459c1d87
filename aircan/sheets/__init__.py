"""Spreadsheets taken apart: which file is one, its sheets, its cells as text, and what a reader does not tell.

Imports only `contract`, `errors`, `ports` and `table`.
"""
