#!/usr/bin/env bash
# Format and static checks of all sources, as errors: clang-format, clang-tidy, shellcheck. Arguments, if any, are
# the C files to check.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/setup.sh"

need_packages build test ci
build clang all # generated headers have to be there
export LC_ALL=C
ours=(-not -path '*/.venv/*' -not -path '*/node_modules/*') # what was installed is not

if (($#)); then
    sources=("$@")
else
    mapfile -t sources < <(find bench engine include server tests -name '*.[ch]' "${ours[@]}" | sort)
fi
clang-format --dry-run --Werror "${sources[@]}"
echo "clang-format: ${#sources[@]} files"

# Headers are seen through the sources that include them.
mapfile -t compiled < <(awk -F'"' -v root="$project_folder/" \
    '$2 == "file" && index($4, root) == 1 {print substr($4, length(root) + 1)}' build/clang/compile_commands.json | sort -u)
mapfile -t compiled < <(comm -12 <(printf '%s\n' "${compiled[@]}") <(printf '%s\n' "${sources[@]}" | sort))
printf '%s\0' "${compiled[@]}" | xargs -0 -r -n 1 -P "$(nproc)" clang-tidy --quiet -p build/clang
echo "clang-tidy: ${#compiled[@]} files"

mapfile -t shells < <(find .ci bench scripts tests -type f \( -name '*.sh' -o -path .ci/run \) "${ours[@]}" | sort)
shellcheck -x "${shells[@]}"
echo "shellcheck: ${#shells[@]} files"
