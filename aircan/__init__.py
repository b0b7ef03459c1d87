"""AirCan, the data factory: fetch a file, read it, and load it into a table.

The package is pure: it imports neither CKAN nor Airflow, and runs from a shell,
in a CKAN background job or in an Airflow task alike.
"""

from __future__ import annotations

__version__ = "0.1.0"
