#!/usr/bin/env bash
# Compares the latency of cnnserve with that of other engines: installs them and what exports the models, builds
# cnnserve, then runs engines.py with the given options (--help) and writes tables to bench/results.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/../scripts/setup.sh"

need_packages build golden
build release cnnserve
build release cnn_shared
tests/golden/setup.sh torch
bench/setup.sh >/dev/null
cd "$caller_folder" # --results may be relative to it
exec "$project_folder/bench/.venv/bin/python" "$project_folder/bench/engines.py" "$@"
