#!/usr/bin/env bash
# Name the helper for the registries, in a config.json of the job's own.
set -euo pipefail
# shellcheck source=common.sh
source "${BASH_SOURCE[0]%/*}/common.sh"

# Set `items` to what an input lists. An item is no option, whatever it is.
items_of() {
    local input=$1 text=$2 item
    read -r -d '' -a items <<<"${text//,/ }" || true
    for item in ${items[@]+"${items[@]}"}; do
        [[ $item != -* ]] || fail "$input: '$item' begins with a hyphen, and names nothing"
    done
}

options=()
items_of registries "$INPUT_REGISTRIES"
options+=(${items[@]+"${items[@]}"})
items_of accounts "$INPUT_ACCOUNTS"
options+=(${items[@]+"${items[@]/#/--account=}"})
items_of regions "$INPUT_REGIONS"
options+=(${items[@]+"${items[@]/#/--region=}"})
case $INPUT_PUBLIC in
    true) options+=(--public) ;;
    false | '') ;;
    *) fail "public: '$INPUT_PUBLIC' is neither true nor false" ;;
esac
items_of profiles "$INPUT_PROFILES"
profiles=(${items[@]+"${items[@]}"})

# Docker finds all else beside the job's config.json that the user's directory has, by links. The
# runner removes the links, and not what they lead to.
docker=$root/docker
theirs=${DOCKER_CONFIG:-$HOME/.docker}
if [[ ! -d $docker ]]; then
    new=$(mktemp -d "$root/docker.XXXXXXXX")
    shopt -s dotglob nullglob
    for path in "$theirs"/*; do
        case ${path##*/} in
            config.json) cp -p "$path" "$new/config.json" ;;
            config.json* | .config.json*) ;;
            *) ln -s "$(realpath -m "$path")" "$new/" ;;
        esac
    done
    mv -T "$new" "$docker"
fi
{
    printf 'DOCKER_CONFIG=%s\n' "$docker"
    printf 'AWS_ECR_CACHE_DIR=%s\n' "$root/cache"
} >"$root/variables"
export DOCKER_CONFIG=$docker AWS_ECR_CACHE_DIR=$root/cache

if [[ ${#profiles[@]} != 0 ]]; then
    settings=${AWS_ECR_CONFIG_FILE:-${XDG_CONFIG_HOME:-$HOME/.config}/ecr-credential-helper/config.toml}
    export AWS_ECR_CONFIG_FILE=$root/config.toml
    if [[ ! -e $AWS_ECR_CONFIG_FILE && -e $settings ]]; then
        cp -p "$settings" "$AWS_ECR_CONFIG_FILE"
    fi
    printf 'AWS_ECR_CONFIG_FILE=%s\n' "$AWS_ECR_CONFIG_FILE" >>"$root/variables"
    options+=(--profiles "${profiles[@]}")
fi

said=$root/said
status=0
docker-credential-ecr configure ${options[@]+"${options[@]}"} >"$said" 2>"$said.err" || status=$?
cat "$said" "$said.err" | show
if [[ $status != 0 ]]; then
    fail "configure: $(sed -n 's/^docker-credential-ecr: //p' "$said.err" | tail -n 1)"
fi
cat "$root/variables" >>"$GITHUB_ENV"
mapfile -t hosts < <(sed -n 's/^  [+=] \([^ ]*\): ecr\(,.*\)\{0,1\}$/\1/p' "$said")
if [[ ${#hosts[@]} == 1 ]]; then
    printf 'registry=%s\n' "${hosts[0]}" >>"$GITHUB_OUTPUT"
fi
rm -f "$said" "$said.err" "$root/variables"
