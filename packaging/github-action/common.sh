# shellcheck shell=bash
# What install.sh and configure.sh have in common.

# All that is made lies in here. The runner empties RUNNER_TEMP before a job and after it.
# shellcheck disable=SC2034
root=${RUNNER_TEMP:?this runs in a job of GitHub Actions}/docker-credential-ecr

# End with a message that GitHub shows at the top of the run. Nothing in it ends the command early.
fail() {
    local said=$1
    said=${said//'%'/%25}
    said=${said//$'\r'/%0D}
    said=${said//$'\n'/%0A}
    printf '::error::%s\n' "$said"
    exit 1
}

# Print stdin. None of it counts as a command to the runner, whatever an input has put there.
show() {
    local word
    word=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    printf '::stop-commands::%s\n' "$word"
    cat
    printf '::%s::\n' "$word"
}
