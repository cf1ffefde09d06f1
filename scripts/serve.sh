#!/usr/bin/env bash
# Builds the server and starts it; arguments go to `cnnserve serve`. As root it first installs missing packages.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/setup.sh"

need_packages build
build release cnnserve
cd "$caller_folder"
exec "$project_folder/build/release/cnnserve" serve "$@"
