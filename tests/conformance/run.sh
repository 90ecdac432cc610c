#!/usr/bin/env bash
# Real MCP clients against a real MCP server: four SDK versions and MCP Inspector, each without and with Writ in between.
#
#   tests/conformance/run.sh [direct] [writ]      nothing named: both
#
# `direct` proves that the drivers can tell right from wrong: no gateway, and the stop is the death of the server.
# `writ` puts Writ in between: the denial is a policy's, and the stop is `kill` of the task.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# shellcheck source=tests/conformance/common.sh
source ./common.sh

work=$(mktemp -d)
upstream_pid='' upstream_url='' now=''
trap finish EXIT

# shellcheck source=tests/conformance/writ.sh
source ./writ.sh

clients=(py1 py2 ts1 ts2)
long_call=(--long trigger-long-running-operation --long-args '{"duration": 60, "steps": 300}')
allowed_call=(--allow echo --allow-args '{"message": "conformance"}' --expect conformance)

main() {
    (($#)) || set -- direct writ
    "../../scripts/setup.sh" clients
    # Node looks for packages beside the program.
    cp ts/client.mjs "$cache/mcp-ts/"
    local mode client
    for mode in "$@"; do
        [[ $mode == direct || $mode == writ ]] || die "unknown mode \`$mode\`: choose among direct, writ"
        for client in "${clients[@]}"; do
            # No `||` behind this call: bash would then go on after a failed command within it.
            now="client \`$client\` in mode \`$mode\`"
            "run_$mode" "$client"
        done
        now="MCP Inspector in mode \`$mode\`"
        "inspect_$mode"
        now=''
        echo "conformance: ${#clients[@]} clients and MCP Inspector pass in mode \`$mode\`"
    done
}

run_direct() {
    upstream_start
    drive "$1" --url "$upstream_url" "${allowed_call[@]}" "${long_call[@]}" \
        --deny no-such-tool --deny-says no-such-tool --stop "kill -9 $upstream_pid"
    upstream_stop
}

run_writ() {
    upstream_start
    writ_start
    writ_prepare
    writ_admit "$upstream_url"
    drive "$1" --url "$writ_mcp_url" --token-file "$writ_token_file" "${allowed_call[@]}" "${long_call[@]}" \
        --deny get-env --deny-hidden --deny-says "$writ_denial" --stop "$writ_kill"
    writ_stop
    upstream_stop
}

inspect_direct() {
    upstream_start
    inspect "$upstream_url"
    upstream_stop
}

inspect_writ() {
    upstream_start
    writ_start
    writ_prepare
    writ_admit "$upstream_url"
    inspect "$writ_mcp_url" --header "Authorization: Bearer $(<"$writ_token_file")"
    # What it is not to see it does not see, and without the token it sees nothing.
    ! grep -q get-env "$work/inspected" || die "a tool that is not covered is listed"
    ! inspector "$writ_mcp_url" --method tools/list || die "the list is given without a token"
    writ_stop
    upstream_stop
}

# inspect URL OPTIONS...: one call, then the list of tools, which stays in the file `inspected`.
inspect() {
    inspector "$@" --method tools/call --tool-name echo --tool-arg message=conformance || die "the call fails: $(<"$work/inspected")"
    grep -q 'Echo: conformance' "$work/inspected" || die "another answer: $(<"$work/inspected")"
    inspector "$@" --method tools/list || die "the list fails: $(<"$work/inspected")"
    grep -q '"name": "echo"' "$work/inspected" || die "another list: $(<"$work/inspected")"
}

# The one way for it to have a header is its command line; the token is good for this run alone.
inspector() {
    (use_node; "$cache/mcp-inspector/node_modules/.bin/mcp-inspector" --cli "$1" --transport http "${@:2}") >"$work/inspected" 2>&1
}

# Runs one client through all steps.
drive() {
    local client=$1
    shift
    case $client in
        py?) "$cache/mcp-$client/bin/python" py/client.py "$@" ;;
        ts?) (cd "$cache/mcp-ts" && node client.mjs --sdk "${client#ts}" "$@") ;;
    esac
}

# Starts server-everything on a free port and waits until it listens. It takes its port from the environment and
# cannot choose a free one itself, so a port that was free a moment ago may be taken: then another one is tried.
upstream_start() {
    local port attempt
    for attempt in 1 2 3 4 5; do
        port=$(free_port)
        PORT=$port node "$cache/mcp-ts/node_modules/@modelcontextprotocol/server-everything/dist/index.js" \
            streamableHttp >"$work/upstream.log" 2>&1 &
        upstream_pid=$!
        # Its death is part of the run; bash need not announce it.
        disown "$upstream_pid"
        upstream_url=http://127.0.0.1:$port/mcp
        if wait_until 20 "the upstream server" upstream_listens; then return; fi
        upstream_stop
    done
    cat "$work/upstream.log" >&2
    die "server-everything does not start; its log is above"
}

upstream_listens() {
    kill -0 "$upstream_pid" 2>/dev/null && grep -q 'listening on port' "$work/upstream.log"
}

upstream_stop() {
    [[ -n $upstream_pid ]] || return 0
    kill -9 "$upstream_pid" 2>/dev/null || true
    upstream_pid=''
}

finish() {
    local status=$?
    upstream_stop
    writ_stop
    rm -rf "$work"
    if ((status)) && [[ -n $now ]]; then echo "conformance: $now failed: the step that failed is above" >&2; fi
}

main "$@"
