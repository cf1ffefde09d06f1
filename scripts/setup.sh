# shellcheck shell=bash disable=SC2034 # the variables are for the scripts that source it
# Sourced by the other scripts: Debian packages, configure, build. Changes to the project's folder.

caller_folder=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
project_folder=$PWD
# Tools from the packages come first: another Python that is earlier in PATH lacks the modules.
[[ ! -x /usr/bin/python3 ]] || PATH=/usr/bin:$PATH

# packages_of GROUP...: the packages of these groups in scripts/packages.txt.
packages_of() {
    awk -v groups=" $* " '!/^#/ && NF == 2 && index(groups, " " $1 " ") {print $2}' scripts/packages.txt
}

# need_packages GROUP...: installs what is missing if we are root, else says how to and exits.
need_packages() {
    local missing=() package
    for package in $(packages_of "$@"); do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        echo "Packages are missing. Install them with:" >&2
        echo "  sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    echo "Installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get update || exit 1
    quietly apt-get install -y --no-install-recommends "${missing[@]}" || exit 1
}

# quietly COMMAND...: prints the output only if the command fails.
quietly() {
    local output
    output=$("$@" 2>&1 </dev/null) && return 0
    printf '%s\n' "$output" >&2
    return 1
}

# build PRESET TARGET [option of cmake]...: configures, and builds TARGET into build/PRESET.
build() {
    local preset=$1 target=$2
    shift 2
    quietly cmake --preset "$preset" "$@" || return 1
    # If the link build/cnnserve is all that is left to do, it stays silent.
    if [[ $(cmake --build "build/$preset" --target "$target" -- -n) == *"[1/1] "* ]]; then
        quietly cmake --build "build/$preset" --target "$target"
    else
        cmake --build "build/$preset" --target "$target" >&2
    fi
}
