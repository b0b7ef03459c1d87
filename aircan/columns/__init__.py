"""What a column is: its id, the ways to read its values, the reason for its type.

Imports only `contract` and below; `counting` also `engine` and `table`.
"""

from __future__ import annotations
