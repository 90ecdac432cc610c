# What run.sh, suite.sh, matrix.sh and upstream_side.sh have in common; sourced by them.
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

# program_start WHAT LOG COMMAND...: starts a program that writes its URL into a file; sets url and started_pid.
program_start() {
    local what=$1 log=$2 ready=$work/ready
    shift 2
    mkdir -p "$out"
    rm -f "$ready"
    "$@" "$ready" >>"$log" 2>&1 &
    started_pid=$!
    if ! wait_until 20 "$what" program_is_ready "$started_pid" "$ready"; then
        kill "$started_pid" 2>/dev/null || true
        tail -20 "$log" >&2
        die "$what does not start; its log is above"
    fi
    url=$(<"$ready")
}

node_start() { program_start "$1" "$2" node "${@:3}"; }

program_is_ready() {
    kill -0 "$1" 2>/dev/null || die "the program ended at once; see above"
    [[ -s $2 ]]
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
