"""A process that speaks as Google Cloud Storage does, on a free port, for as long as a test needs it."""

from __future__ import annotations

from tests.aircan.s3_server import process

BUCKET = "aircan-test"

PLAIN = {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
"""Environment in which gcsfs doesn't ask what kind of bucket it is: Google answers that over gRPC, the emulator not."""


def gcs_server():
    """Return a context with the address of a server that holds one empty bucket."""
    arguments = ["start", "--host=127.0.0.1", "--in-memory", f"--default-bucket={BUCKET}", "--port"]
    return process(["-m", "gcp_storage_emulator", *arguments], {})


def options(address):
    """Return the options of a store in this server."""
    return {"endpoint_url": address, "token": "anon"}


def be_plain(monkeypatch):
    """Let gcsfs take every bucket for a plain one, as it would be told; see `PLAIN`."""
    from gcsfs.extended_gcsfs import BucketType, ExtendedGcsFileSystem

    async def plain(_files, _bucket):
        return BucketType.NON_HIERARCHICAL

    monkeypatch.setattr(ExtendedGcsFileSystem, "_get_bucket_type", plain)
