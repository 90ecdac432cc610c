# What run.sh, suite.sh and upstream_side.sh have in common; sourced by them.
# shellcheck shell=bash

cache=${WRIT_CACHE:-$HOME/.cache/writ}

# The Node that scripts/setup.sh brought, where the system's is too old for the suite.
use_node() {
    local own=$cache/mcp-node/node_modules/.bin
    if [[ -x $own/node ]]; then export PATH=$own:$PATH; fi
}

# wait_until SECONDS WHAT COMMAND...: polls, because neither server tells us in another way.
wait_until() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        if ((SECONDS > deadline)); then
            echo "conformance: $what was not ready in time" >&2
            return 1
        fi
        sleep 0.05
    done
}

die() {
    echo "conformance: $*" >&2
    exit 1
}
