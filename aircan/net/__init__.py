"""Fetching over the network: connections to public addresses only, and the sources that use them.

Imports only `contract` and below.
"""

from __future__ import annotations
