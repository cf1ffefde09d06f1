#!/usr/bin/env bash
# Builds the server and starts it; arguments go to `cnnserve serve`. As root it first installs missing packages.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/setup.sh"

need_packages build
options=()
# A folder in which the tests are configured stays so; to serve, their packages are not needed.
[[ -e build/release/CMakeCache.txt ]] || options=(-D BUILD_TESTING=OFF)
build release cnnserve "${options[@]}"
cd "$caller_folder"
exec "$project_folder/build/release/cnnserve" serve "$@"
