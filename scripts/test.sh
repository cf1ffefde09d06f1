#!/usr/bin/env bash
# Builds and runs the tests; arguments go to ctest (-R NAME: only tests of that name). As root it first installs
# missing packages.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/setup.sh"

need_packages build test
build release all -D BUILD_TESTING=ON
if [[ -z ${CNNSERVE_TEST_DATA:-} && -d ../shared/data ]]; then
    CNNSERVE_TEST_DATA=$(realpath ../shared/data)
    export CNNSERVE_TEST_DATA
fi
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$(nproc)}
exec ctest --preset release "$@"
