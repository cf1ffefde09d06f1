#!/usr/bin/env bash
# Makes bench/.venv with what engines.py and servers.py compare with, and bench/servers/node/node_modules.
set -euo pipefail
cd "$(dirname "$0")"
[[ -x .venv/bin/python ]] || python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt -r servers/requirements.txt
# Without PyTorch (5 GB), which only its Python module needs and not the program in it.
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps pnnx==20261020
.venv/bin/pip list --disable-pip-version-check
# The packages have their programs in them: scripts would only download those for GPUs.
(cd servers/node && PATH="$PWD/../../.venv/bin:$PATH" npm ci --ignore-scripts --no-audit --no-fund)
