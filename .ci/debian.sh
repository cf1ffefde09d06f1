#!/usr/bin/env bash
# debian.sh [CODENAME]: README's two commands in a fresh Debian of that release; without CODENAME, of 12 and 13 the
# one that this machine does not have. Warnings are errors. Needs root: the release is installed into a folder below
# build/ by debootstrap and entered with chroot. What is mounted there is so in a mount namespace that ends with the
# commands, hence nobody else sees it, and removing the folder never reaches beyond it.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "debian.sh: $*" >&2
    exit 1
}

# Of this machine's apt, what is about the way to the packages.
apt_settings() {
    apt-config dump | grep -E '^Acquire::(https?::|Retries|ForceIPv|Check-)' | grep -vE 'Auto-?Detect' || true
}

install_release() {
    debootstrap --variant=minbase "$release" "$root" "$mirror" >"$root.log" 2>&1 || {
        tail -20 "$root.log" >&2
        fail "debootstrap cannot install $release from $mirror"
    }
    apt_settings >"$root/etc/apt/apt.conf.d/90host"
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/ci"
    cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/"
    local certificates=/etc/ssl/certs/ca-certificates.crt
    [[ ! -e $certificates ]] || install -m 644 -D "$certificates" "$root$certificates"
}

# The project as it is here, without what was built or installed.
copy_project() {
    mkdir "$root/src"
    tar -c --exclude=./build --exclude=./.git --exclude=.venv --exclude=node_modules --exclude=__pycache__ . |
        tar -x -C "$root/src"
}

mount_host() {
    local folder
    for folder in dev proc sys; do # /dev with its /dev/pts
        mount --rbind "/$folder" "$root/$folder"
    done
    if [[ -n $data ]]; then
        mkdir "$root/data"
        mount --bind -o ro "$data" "$root/data"
    fi
}

# run COMMAND...: within the release. Of this machine's environment it sees what is named here.
run() {
    local kept=() name
    for name in {http,https,no,all}_proxy {HTTP,HTTPS,NO,ALL}_PROXY CI CMAKE_BUILD_PARALLEL_LEVEL CTEST_PARALLEL_LEVEL; do
        [[ ! -v $name ]] || kept+=("$name=${!name}")
    done
    [[ -z $data ]] || kept+=(CNNSERVE_TEST_DATA=/data)
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CFLAGS=-Werror "${kept[@]}" chroot "$root" "$@"
}

within_namespace() {
    install_release
    copy_project
    mount_host
    run bash -ec 'cd /src; scripts/serve.sh --help >/dev/null; scripts/test.sh; gcc --version | head -1'
    echo "Passed on Debian $(<"$root/etc/debian_version") ($release)"
}

((EUID == 0)) || fail "needs root, for debootstrap, mount and chroot"
command -v debootstrap >/dev/null || fail "needs Debian's package debootstrap"
unshare --mount true || fail "is not allowed to mount; in a container it needs CAP_SYS_ADMIN"

host=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
if [[ $host == trixie ]]; then release=${1:-bookworm}; else release=${1:-trixie}; fi
# shellcheck disable=SC2016 # apt expands these
mirror=$(apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v release="$host" '$1 == "Debian" && $2 == release && $3 == "main" {print $4; exit}')
mirror=${mirror:-http://deb.debian.org/debian}
[[ -n ${http_proxy:-} ]] || eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
[[ -z ${http_proxy:-} || $http_proxy == DIRECT ]] || export http_proxy # debootstrap's wget knows no apt.conf
data=
[[ ! -d ${CNNSERVE_TEST_DATA:-} ]] || data=$(realpath "$CNNSERVE_TEST_DATA")

mkdir -p build
root=$(mktemp -d -p "$PWD/build" "debian-$release.XXXXXX")
trap 'rm -rf "$root" "$root.log"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$root" # apt reads as a user of its own
export release mirror data root
export -f fail apt_settings install_release copy_project mount_host run within_namespace
unshare --mount --propagation private bash -euo pipefail -c within_namespace
