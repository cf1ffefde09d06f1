#!/usr/bin/env bash
# Makes bench/.venv with the engines that engines.py compares against.
set -euo pipefail
cd "$(dirname "$0")"
[[ -x .venv/bin/python ]] || python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
# Without PyTorch (5 GB), which only its Python module needs and not the program in it.
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps pnnx==20261020
.venv/bin/pip list --disable-pip-version-check
