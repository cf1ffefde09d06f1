#!/usr/bin/env bash
# Compares cnnserve with other servers: installs them, builds cnnserve, then runs servers.py with the given options
# (--help) and writes tables to bench/results.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/../scripts/setup.sh"

need_packages build ci
build release cnnserve
bench/setup.sh >/dev/null
cd "$caller_folder" # --results may be relative to it
exec "$project_folder/bench/.venv/bin/python" "$project_folder/bench/servers.py" "$@"
