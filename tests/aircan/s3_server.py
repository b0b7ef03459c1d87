"""A process that speaks S3, on a free port of this machine, for as long as a test needs it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


def s3_server():
    """Return a context with the address of a server that holds nothing."""
    return process(["-m", "moto.server", "-H", "127.0.0.1", "-p"], KEYS)


@contextlib.contextmanager
def process(arguments, environment):
    """Yield the address of a Python program that serves the port that ends its arguments."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, *arguments, str(port)]
    server = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )
    try:
        yield _when_up(server, f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(timeout=20)


def _when_up(server, address):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert server.poll() is None, "the server of the store ended"
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return address
        time.sleep(0.1)
    raise AssertionError("the server of the store does not answer")


def make_bucket(address, name):
    """Make a bucket in the server."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    client.create_bucket(Bucket=name)
    return client
