"""Reading delimited text: what the bytes are, their encoding, their dialect, their records.

Imports only `table`, `ports`, `errors` and below.
"""

from __future__ import annotations
