"""The options of the extension, a function each. The only reader of `tk.config`; nothing is read at import.

`ckan.*` options that others own are read here too, when we depend on them.
"""

from __future__ import annotations

import os

import ckantoolkit as tk

from aircan.contract import Publish

PREFIX = "ckanext.aircan_connector."


def factory() -> str:
    """Return the name of the factory that is used when a submit names none."""
    return str(tk.config[PREFIX + "factory"])


def queue() -> str:
    """Return the name of the background queue, without CKAN's prefix."""
    return str(tk.config[PREFIX + "queue"])


def show_details_to() -> str:
    """Return who sees runs whole: editors or readers."""
    return str(tk.config[PREFIX + "show_details_to"])


def readers_see_details() -> bool:
    """Return whether everybody who may read a dataset sees its runs whole."""
    return show_details_to() == "readers"


def submit_on_change() -> bool:
    """Return whether a changed file starts a run by itself."""
    return bool(tk.asbool(tk.config[PREFIX + "submit.on_change"]))


def submit_formats() -> frozenset[str]:
    """Return the formats that start a run, in lower case."""
    return frozenset(word.lower() for word in tk.aslist(tk.config[PREFIX + "submit.formats"]))


def submit_dags() -> frozenset[str]:
    """Return the DAGs that editors may name."""
    return frozenset(tk.aslist(tk.config[PREFIX + "submit.dags"]))


def max_size_bytes() -> int:
    """Return the size of the largest file that is loaded."""
    return int(tk.config[PREFIX + "load.max_size_bytes"])


def max_reject_share() -> float:
    """Return the share of refused rows, 0 to 1, above which a run fails."""
    return float(tk.config[PREFIX + "load.max_reject_percent"]) / 100


def max_rejects_kept() -> int:
    """Return how many refused rows are kept with a run."""
    return int(tk.config[PREFIX + "load.max_rejects_kept"])


def publish() -> Publish:
    """Return when a new table takes the old one's place."""
    return Publish(tk.config[PREFIX + "load.publish"])


def load_connections() -> int:
    """Return how many connections one load writes with."""
    return int(tk.config[PREFIX + "load.connections"])


def load_threads() -> int:
    """Return how many cores one load reads and converts with."""
    return int(tk.config[PREFIX + "load.threads"])


def load_memory_mb() -> int:
    """Return the memory of the engine that decides types and converts, in MB."""
    return int(tk.config[PREFIX + "load.memory_mb"])


def work_memory_mb() -> int:
    """Return the memory that PostgreSQL may use to build an index of a load, in MB; 0: its own setting."""
    return int(tk.config[PREFIX + "load.work_memory_mb"])


def time_limit_s() -> int:
    """Return the seconds after which a run of the factory local is stopped."""
    return int(tk.config[PREFIX + "load.time_limit_s"])


def load_folder() -> str | None:
    """Return the folder for temporary files, None for the system's own."""
    return str(tk.config[PREFIX + "load.folder"]) or None


def link_timeout_s() -> int:
    """Return the seconds to wait for a link's server."""
    return int(tk.config[PREFIX + "link.timeout_s"])


def link_allowed_hosts() -> frozenset[str]:
    """Return the hosts in private networks that links may lead to."""
    return frozenset(tk.aslist(tk.config[PREFIX + "link.allowed_hosts"]))


def local_key() -> str:
    """Return the secret of the factory local, "" when it is to be derived."""
    return str(tk.config[PREFIX + "local.key"])


def _secret(option: str, variable: str) -> str:
    return str(tk.config[PREFIX + option]) or os.environ.get(variable, "")


def airflow_url() -> str:
    """Return the address of Airflow, without a slash at the end."""
    return str(tk.config[PREFIX + "airflow.url"]).rstrip("/")


def airflow_api() -> str:
    """Return which API Airflow speaks: auto, v2, v1 or experimental."""
    return str(tk.config[PREFIX + "airflow.api"])


def airflow_auth() -> str:
    """Return how CKAN signs in to Airflow: password, basic, bearer, composer, mwaa or none."""
    return str(tk.config[PREFIX + "airflow.auth"])


def airflow_username() -> str:
    """Return the user name at Airflow."""
    return str(tk.config[PREFIX + "airflow.username"])


def airflow_password() -> str:
    """Return the password at Airflow."""
    return _secret("airflow.password", "AIRCAN_AIRFLOW_PASSWORD")


def airflow_token() -> str:
    """Return the token for the sign-in bearer."""
    return _secret("airflow.token", "AIRCAN_AIRFLOW_TOKEN")


def airflow_mwaa_environment() -> str:
    """Return the name of the environment at Amazon MWAA."""
    return str(tk.config[PREFIX + "airflow.mwaa_environment"])


def airflow_mwaa_region() -> str | None:
    """Return the region of the environment at Amazon MWAA, None for the machine's own."""
    return str(tk.config[PREFIX + "airflow.mwaa_region"]) or None


def airflow_dag_id() -> str:
    """Return the DAG that carries out a run when its submit names none."""
    return str(tk.config[PREFIX + "airflow.dag_id"])


def airflow_keys() -> tuple[str, ...]:
    """Return the secrets shared with Airflow's workers: the key, then the one before it; () when there is none."""
    key = _secret("airflow.key", "AIRCAN_AIRFLOW_KEY")
    previous = _secret("airflow.previous_key", "AIRCAN_AIRFLOW_PREVIOUS_KEY")
    return tuple(found for found in (key, previous) if found)


def airflow_ckan_url() -> str:
    """Return the address at which Airflow's workers reach this CKAN, without a slash at the end."""
    return str(tk.config[PREFIX + "airflow.ckan_url"]).rstrip("/") or site_url()


def airflow_timeout_s() -> int:
    """Return the seconds to wait for an answer of Airflow."""
    return int(tk.config[PREFIX + "airflow.timeout_s"])


def max_body_bytes() -> int:
    """Return the size of the largest body that a worker outside CKAN may send."""
    return int(tk.config[PREFIX + "gateway.max_body_bytes"])


def lease_s() -> int:
    """Return the seconds of silence after which a job's factory is asked."""
    return int(tk.config[PREFIX + "reconcile.lease_s"])


def reconcile_interval_s() -> int:
    """Return the seconds between two rounds of the reconcile loop."""
    return int(tk.config[PREFIX + "reconcile.interval_s"])


def keep_days() -> int:
    """Return how many days final jobs are kept, 0 for ever."""
    return int(tk.config[PREFIX + "reconcile.keep_days"])


def site_secret() -> str:
    """Return the secret that CKAN signs its own tokens with (the option's name depends on the version)."""
    for name in ("SECRET_KEY", "beaker.session.secret"):
        if secret := tk.config.get(name):
            return str(secret)
    return ""


def reveals_private_datasets() -> bool:
    """Return whether CKAN says "not authorized" instead of "not found" about private datasets."""
    return bool(tk.asbool(tk.config.get("ckan.auth.reveal_private_datasets")))


def site_url() -> str:
    """Return the address of the site, without a slash at the end."""
    return str(tk.config["ckan.site_url"]).rstrip("/")


def site_id() -> str:
    """Return the id of the site; sites that share a Redis differ in it."""
    return str(tk.config["ckan.site_id"])


def redis_url() -> str:
    """Return the address of CKAN's Redis."""
    return str(tk.config["ckan.redis.url"])


def datastore_write_url() -> str:
    """Return the address of the DataStore's database for writing, "" when there is none."""
    return str(tk.config.get("ckan.datastore.write_url") or "")
