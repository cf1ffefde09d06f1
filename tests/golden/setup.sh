#!/usr/bin/env bash
# Makes tests/golden/.venv, an environment for each exporter. Without arguments those that the CI set needs, torch and
# keras; arguments name others: torch, keras, dynamo (5 GB).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/../../scripts/setup.sh"

# environment NAME [option of venv]...
environment() {
    local requirements=tests/golden/requirements/$1.txt venv=tests/golden/.venv/$1
    shift
    ! cmp -s "$requirements" "$venv/installed.txt" || return 0
    echo "Installing $requirements" >&2
    python3 -m venv --clear "$@" "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-compile -r "$requirements"
    cp "$requirements" "$venv/installed.txt"
}

need_packages golden
(($#)) || set -- torch keras
for name; do
    case $name in
    torch) environment torch --system-site-packages ;;
    keras | dynamo) environment "$name" ;;
    *)
        echo "No environment is called '$name'; there are torch, keras and dynamo" >&2
        exit 2
        ;;
    esac
done
