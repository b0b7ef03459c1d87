"""The ports over HTTP, for workers outside CKAN: a source, a sink and reports through CKAN's gateway.

    gateway = Gateway(order.site_url, order.job_id, keys)
    run(order, source=HttpSource(gateway), sink=HttpSink(gateway), tell=HttpTell(gateway))

Imports only `contract`, `ports`, `keys`, `net` and below.
"""

from __future__ import annotations

from aircan.remote.gateway import Gateway
from aircan.remote.sink import HttpSink
from aircan.remote.source import HttpSource
from aircan.remote.tell import HttpTell

__all__ = ["Gateway", "HttpSink", "HttpSource", "HttpTell"]
