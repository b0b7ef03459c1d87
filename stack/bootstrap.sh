#!/bin/sh
# Make sure that a Python of 3.10 or later with venv is here, then hand over: stack/bootstrap.sh COMMAND [ARGUMENTS]
# (everything else is Python: `python3 -m stack --help`).
set -eu
cd "$(dirname "$0")/.."
good() { python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }
if ! good; then
  echo "installing system packages: python3 python3-venv"
  command -v apt-get >/dev/null || { echo "Stopped: apt-get is not here, and no Python 3.10 with venv." >&2; exit 2; }
  as_root=""
  [ "$(id -u)" -eq 0 ] || as_root="sudo"
  $as_root apt-get update -qq
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
  good || { echo "Stopped: python3 is older than 3.10, which CKAN 2.12 needs." >&2; exit 2; }
fi
exec python3 -m stack "$@"
