#!/usr/bin/env bash
# Put a release on PATH. Nothing of it is unpacked before it is known to be one.
set -euo pipefail
# shellcheck source=common.sh
source "${BASH_SOURCE[0]%/*}/common.sh"

version=${INPUT_VERSION#v}
[[ $version =~ ^[0-9]+(\.[0-9]+)+[0-9A-Za-z.+-]*$ ]] ||
    fail "version: '$INPUT_VERSION' is not one such as 0.1.0"
[[ $INPUT_REPOSITORY =~ ^[0-9A-Za-z_.-]+/[0-9A-Za-z_.-]+$ ]] ||
    fail "repository: '$INPUT_REPOSITORY' is not OWNER/NAME"
[[ $RUNNER_OS == Linux ]] ||
    fail "a release runs on Linux alone, and this runner has $RUNNER_OS: take one with Linux, or install the helper by pipx"
case $RUNNER_ARCH in
    X64) machine=x86_64 ;;
    ARM64) machine=aarch64 ;;
    *) fail "a release runs on X64 and ARM64, and this runner is $RUNNER_ARCH: take another runner, or install the helper by pipx" ;;
esac
for tool in curl gzip sha256sum tar; do
    command -v "$tool" >/dev/null || fail "$tool is missing: install it in a step before this one"
done
read -r -d '' -a sums <<<"${INPUT_SHA256//,/ }" || true
for sum in ${sums[@]+"${sums[@]}"}; do
    [[ $sum =~ ^[0-9a-f]{64}$ ]] || fail "sha256: '$sum' is not a SHA-256, 64 digits of 0-9 and a-f"
done
if [[ ${#sums[@]} == 0 ]] && ! command -v gh >/dev/null; then
    fail "gh is missing, which checks where the release was built: install GitHub CLI, or give the release's SHA-256 as sha256"
fi

name=docker-credential-ecr-$version-linux-$machine
file=$name.tar.gz
url=${GITHUB_SERVER_URL%/}/$INPUT_REPOSITORY/releases/download/v$version

download() {
    curl --fail --silent --show-error --location --proto-redir =https --connect-timeout 20 \
        --max-time 300 --retry 5 --output "$work/$1" "$url/$1" ||
        fail "$url/$1 could not be downloaded: is there a release $version?"
}

if [[ ! -e $root/$name ]]; then
    mkdir -p "$root"
    work=$(mktemp -d "$root/download.XXXXXXXX")
    trap 'rm -rf "$work"' EXIT
    download "$file"
    sum=$(sha256sum "$work/$file")
    sum=${sum%% *}
    if [[ ${#sums[@]} != 0 ]]; then
        [[ " ${sums[*]} " == *" $sum "* ]] || fail "$file has the SHA-256 $sum, which sha256 does not have"
    else
        download SHA256SUMS
        grep -Fqx -- "$sum  $file" "$work/SHA256SUMS" ||
            fail "$file has the SHA-256 $sum, which is not the one in SHA256SUMS"
        gh attestation verify "$work/$file" --repo "$INPUT_REPOSITORY" \
            --signer-workflow "$INPUT_REPOSITORY/.github/workflows/release.yml" \
            >"$work/said" 2>&1 || {
            show <"$work/said"
            fail "gh finds no attestation that $file was built by $INPUT_REPOSITORY: give a token, or do not use it"
        }
    fi
    tar -xzf "$work/$file" -C "$work" || fail "$file could not be unpacked"
    [[ -x $work/$name/docker-credential-ecr ]] || fail "$file has no program $name/docker-credential-ecr"
    mv -T "$work/$name" "$root/$name"
fi
printf '%s\n' "$root/$name" >>"$GITHUB_PATH"
"$root/$name/docker-credential-ecr" version
