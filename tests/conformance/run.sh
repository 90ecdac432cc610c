#!/usr/bin/env bash
# Real MCP clients against real MCP servers: four SDK versions and MCP Inspector, each without and with Writ in between.
#
#   tests/conformance/run.sh [direct] [writ] [all] [stdio] [sse] [local]      nothing named: each of them
#
# `direct` proves that the drivers can tell right from wrong: no gateway, and the stop is the death of the server.
# `writ` puts Writ in between: the denial is a policy's, and the stop is `kill` of the task.
# `all` is the same at the endpoint of all servers.
# `stdio` and `sse` are the same with the server as a process of Writ's, and over HTTP+SSE (2024-11-05).
# `local` calls well-known servers that speak on standard input and output alone: files, git, SQLite, time.
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
    (($#)) || set -- direct writ all stdio sse local
    "../../scripts/setup.sh" clients
    # Node looks for packages beside the program.
    cp ts/client.mjs "$cache/mcp-ts/"
    local_configure
    local mode client
    for mode in "$@"; do
        [[ " direct writ all stdio sse local " == *" $mode "* ]] || die "unknown mode \`$mode\`: choose among direct, writ, all, stdio, sse, local"
        for client in "${clients[@]}"; do
            # No `||` behind this call: bash would then go on after a failed command within it.
            now="client \`$client\` in mode \`$mode\`"
            "run_$mode" "$client"
        done
        now="MCP Inspector in mode \`$mode\`"
        if declare -F "inspect_$mode" >/dev/null; then "inspect_$mode"; fi
        now=''
        echo "conformance: ${#clients[@]} clients pass in mode \`$mode\`"
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
    through_writ "$1" "$upstream_url"
    upstream_stop
}

run_sse() {
    upstream_start sse
    through_writ "$1" "$upstream_url"
    upstream_stop
}

run_stdio() {
    through_writ "$1" stdio://everything
    wait_until 10 "the end of the server's processes" has_no_process
}

# The server's arguments hold this mark.
has_no_process() { ! grep -qsF "$work/mark" /proc/[0-9]*/cmdline; }

through_writ() {
    writ_start
    writ_prepare
    writ_admit "$2"
    drive "$1" --url "$writ_mcp_url" --token-file "$writ_token_file" "${allowed_call[@]}" "${long_call[@]}" \
        --deny get-env --deny-hidden --deny-says "$writ_denial" --stop "$writ_kill"
    writ_stop
}

run_local() {
    local client=$1
    writ_start
    writ_prepare
    local_call "$client" files read_text_file "{\"path\": \"$work/shared/note.txt\"}" conformance
    local_call "$client" git git_log "{\"repo_path\": \"$work/shared\"}" conformance
    local_call "$client" sqlite read_query '{"query": "select 40 + 2 as answer"}' 42
    local_call "$client" time convert_time \
        '{"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}' 21:00
    writ_stop
}

# local_call CLIENT SERVER TOOL ARGUMENTS EXPECTED: lists, calls, and is denied what nobody knows.
local_call() {
    writ_admit_all "$2" "stdio://$2"
    drive "$1" --url "$writ_mcp_url" --token-file "$writ_token_file" --allow "$3" --allow-args "$4" --expect "$5" \
        --deny no-such-tool --deny-hidden --deny-says no-such-tool
}

# The servers that Writ starts, as an operator writes them.
local_configure() {
    local packages=$cache/mcp-ts/node_modules/@modelcontextprotocol node py2
    node=$(readlink -f "$(command -v node)")
    py2=$cache/mcp-py2/bin/python
    mkdir -p "$work/shared"
    echo conformance >"$work/shared/note.txt"
    git -C "$work/shared" init -q
    git -C "$work/shared" -c user.name=c -c user.email=c@example.com commit -q --allow-empty -m conformance
    {
        local_server everything "$node" "$packages/server-everything/dist/index.js" stdio "$work/mark"
        local_server files "$node" "$packages/server-filesystem/dist/index.js" "$work/shared"
        local_server git "$py2" -m mcp_server_git --repository "$work/shared"
        local_server sqlite "$cache/mcp-py1/bin/mcp-server-sqlite" --db-path "$work/shared/notes.db"
        local_server time "$py2" -m mcp_server_time --local-timezone UTC
    } >"$work/writ.toml"
    writ_config=(--config "$work/writ.toml")
}

# local_server NAME COMMAND ARGUMENT...
local_server() {
    local name=$1 command=$2
    shift 2
    echo "[local.$name]"
    echo "command = '$command'"
    echo "sha256 = '$(sha256sum "$command" | cut -c1-64)'"
    printf "args = ["
    printf "'%s', " "$@"
    echo "]"
    if [[ -f $1 ]]; then echo "pins = { '$1' = '$(sha256sum "$1" | cut -c1-64)' }"; fi
    # The server for git calls it, and git wants a home.
    echo "env = { PATH = '/usr/local/bin:/usr/bin:/bin', HOME = '$work' }"
}

run_all() {
    local at=everything__
    upstream_start
    writ_start
    writ_prepare
    writ_admit "$upstream_url"
    writ_at_all "$upstream_url"
    drive "$1" --url "$writ_mcp_url" --token-file "$writ_token_file" \
        --allow "${at}echo" --allow-args '{"message": "conformance"}' --expect conformance \
        --long "${at}trigger-long-running-operation" --long-args '{"duration": 60, "steps": 300}' \
        --deny "${at}get-env" --deny-hidden --deny-says "$writ_denial" --stop "$writ_kill"
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

# upstream_start [sse]: starts server-everything on a free port and waits until it listens. It takes its port from the environment and
# cannot choose a free one itself, so a port that was free a moment ago may be taken: then another one is tried.
upstream_start() {
    local port attempt how=${1:-streamableHttp} path=/mcp
    if [[ $how == sse ]]; then path=/sse; fi
    for attempt in 1 2 3 4 5; do
        port=$(free_port)
        PORT=$port node "$cache/mcp-ts/node_modules/@modelcontextprotocol/server-everything/dist/index.js" \
            "$how" >"$work/upstream.log" 2>&1 &
        upstream_pid=$!
        # Its death is part of the run; bash need not announce it.
        disown "$upstream_pid"
        upstream_url=http://127.0.0.1:$port$path
        if wait_until 20 "the upstream server" upstream_listens; then return; fi
        upstream_stop
    done
    cat "$work/upstream.log" >&2
    die "server-everything does not start; its log is above"
}

upstream_listens() {
    kill -0 "$upstream_pid" 2>/dev/null && grep -qE '(listening|running) on port' "$work/upstream.log"
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
