"""What a column is: its id, the ways to read its values, the reason for its type.

Imports only `contract` and below.
"""

from __future__ import annotations
