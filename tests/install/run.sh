#!/usr/bin/env bash
# run.sh BUILD_FOLDER: installs it twice, by --prefix and by DESTDIR, and builds C and C++ programs against the
# result through pkg-config, with the shared and the static library. $CFLAGS serves sanitizers.
set -euo pipefail
build=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
cc=${CC:-cc} cxx=${CXX:-c++}
read -ra flags <<<"-Wall -Wextra -Werror ${CFLAGS:-}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

cmake --install "$build" --prefix "$work/first" >/dev/null
DESTDIR=$work/root cmake --install "$build" --prefix /opt/cnn >/dev/null
mv "$work/first" "$work/moved" # an installation does not remember where it was

# try PREFIX: everything a user does with an installation.
try() {
    local prefix=$1 lib c_flags shared static
    lib=$(dirname "$(find "$prefix" -name libcnn.a)")
    export PKG_CONFIG_PATH=$lib/pkgconfig
    [[ $(pkg-config --modversion cnn) == $("$prefix/bin/cnnserve" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -1) ]] ||
        fail "cnn.pc and cnnserve disagree about the version"
    read -ra c_flags <<<"$(pkg-config --cflags cnn)"
    read -ra shared <<<"$(pkg-config --libs cnn)"
    read -ra static <<<"$(pkg-config --static --libs cnn | sed 's/-lcnn/-l:libcnn.a/')"

    "$cc" -std=c11 -pedantic "${flags[@]}" "${c_flags[@]}" "$here/consumer.c" "${shared[@]}" -o "$work/shared"
    LD_LIBRARY_PATH=$lib "$work/shared" || fail "shared"
    [[ $(LD_LIBRARY_PATH=$lib ldd "$work/shared") == *"$lib/libcnn.so"* ]] || fail "libcnn.so is not what was linked"

    "$cc" -std=c11 "${flags[@]}" "${c_flags[@]}" "$here/consumer.c" "${static[@]}" -o "$work/static"
    "$work/static" || fail "static"
    [[ $(ldd "$work/static") != *libcnn* ]] || fail "the static program needs libcnn.so"

    "$cxx" -std=c++11 -pedantic "${flags[@]}" "${c_flags[@]}" "$here/consumer.cc" "${shared[@]}" -o "$work/cxx"
    LD_LIBRARY_PATH=$lib "$work/cxx" || fail "C++"

    [[ $(readelf -d "$lib/libcnn.so") =~ SONAME.*libcnn\.so\.[0-9] ]] || fail "libcnn.so has no soname"
    local others
    others=$(nm -D --defined-only "$lib/libcnn.so" | awk '$2 ~ /[A-Z]/ && $3 !~ /^cnn_/ {print $3}')
    [[ -z $others ]] || fail "libcnn.so exports $others"
}

try "$work/moved"
try "$work/root/opt/cnn"
echo "installed, linked and run"
