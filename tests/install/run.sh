#!/usr/bin/env bash
# run.sh BUILD_FOLDER: installs it twice, by --prefix and by DESTDIR, and does with the result what users do: the
# README's example is built through pkg-config and CMake, with the shared and the static library, and run; so is a C++
# program with names of its own. $CFLAGS serves sanitizers.
set -euo pipefail
build=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../..")
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

# classify PROGRAM: the example says what docs/examples/seven.jpg shows.
classify() {
    local answer
    answer=$("$1" "$root/models/digits/model.onnx" "$root/docs/examples/seven.f32") || fail "$1 fails"
    [[ $answer == "class 7 of 10, score "* ]] || fail "$1 answers '$answer'"
    ! "$1" "$root/models/digits/model.onnx" "$root/docs/examples/line.png" 2>/dev/null || fail "$1 takes any file"
}

# names OPTION FILE: the names that it defines for others to link.
names() { nm "$1" --defined-only "$2" | awk '$2 ~ /^[A-Z]$/ {print $3}' | sort -u; }

# try PREFIX: everything a user does with an installation.
try() {
    local prefix=$1 lib version c_flags shared static others
    lib=$(dirname "$(find "$prefix" -name libcnn.a)")
    export PKG_CONFIG_PATH=$lib/pkgconfig
    version=$(pkg-config --modversion cnn)
    [[ $("$prefix/bin/cnnserve" --version) == "cnnserve $version" ]] || fail "cnn.pc and cnnserve disagree about the version"
    read -ra c_flags <<<"$(pkg-config --cflags cnn)"
    read -ra shared <<<"$(pkg-config --libs cnn)"
    read -ra static <<<"$(pkg-config --static --libs cnn | sed 's/-lcnn/-l:libcnn.a/')"

    "$cc" -std=c11 -pedantic "${flags[@]}" "${c_flags[@]}" "$root/docs/examples/top_class.c" "${shared[@]}" -o "$work/shared"
    [[ $(LD_LIBRARY_PATH=$lib ldd "$work/shared") == *"$lib/libcnn.so"* ]] || fail "libcnn.so is not what was linked"
    LD_LIBRARY_PATH=$lib classify "$work/shared"
    "$cc" -std=c11 "${flags[@]}" "${c_flags[@]}" "$root/docs/examples/top_class.c" "${static[@]}" -o "$work/static"
    [[ $(ldd "$work/static") != *libcnn* ]] || fail "the static program needs libcnn.so"
    classify "$work/static"

    "$cxx" -std=c++11 -pedantic "${flags[@]}" "${c_flags[@]}" "$here/consumer.cc" "${shared[@]}" -o "$work/cxx"
    LD_LIBRARY_PATH=$lib "$work/cxx" || fail "C++, shared"
    "$cxx" -std=c++11 -pedantic "${flags[@]}" "${c_flags[@]}" "$here/consumer.cc" "${static[@]}" -o "$work/cxx_static"
    "$work/cxx_static" || fail "C++, static"

    CC=$cc CFLAGS=${flags[*]} cmake -G Ninja -S "$here/package" -B "$work/cmake" -D CMAKE_PREFIX_PATH="$prefix" \
        -D VERSION="$version" -D EXAMPLE="$root/docs/examples/top_class.c" >/dev/null || fail "find_package"
    cmake --build "$work/cmake" >/dev/null || fail "a program with the CMake package"
    classify "$work/cmake/with_shared"
    classify "$work/cmake/with_static"
    [[ $(ldd "$work/cmake/with_static") != *libcnn* ]] || fail "cnn::static is not static"
    rm -r "$work/cmake"

    [[ $(readelf -d "$lib/libcnn.so") =~ SONAME.*libcnn\.so\.[0-9] ]] || fail "libcnn.so has no soname"
    others=$(names -D "$lib/libcnn.so" | grep -v ^cnn_ || true)
    [[ -z $others ]] || fail "libcnn.so exports $others"
    [[ $(names -g "$lib/libcnn.a") == "$(names -D "$lib/libcnn.so")" ]] ||
        fail "libcnn.a exports $(names -g "$lib/libcnn.a")"
}

try "$work/moved"
try "$work/root/opt/cnn"
echo "installed, linked and run"
