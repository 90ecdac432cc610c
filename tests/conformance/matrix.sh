#!/usr/bin/env bash
# Real clients of both generations against real servers of both generations, through Writ: every feature, in all four
# combinations, by what is observed at the client and at the server.
#
#   tests/conformance/matrix.sh [--check | --write]      nothing given: --check
#
# `--check` compares what was observed with the table in docs/reference/mcp.md, `--write` puts it there.
# MATRIX_OUT=FOLDER keeps what the clients and the servers said.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# shellcheck source=tests/conformance/common.sh
source ./common.sh
# shellcheck source=tests/conformance/writ.sh
source ./writ.sh

work=$(mktemp -d)
out=${MATRIX_OUT:-$work/out}
pids=()
trap finish EXIT

page=../../docs/reference/mcp.md
clients=(py1 py2-sessions py2-stateless ts1 ts2-sessions ts2-stateless)
servers=(legacy modern everything python1 python2)
help="this one is not for agents"

main() {
    local mode=${1:---check} server
    [[ $mode == --check || $mode == --write ]] || die "unknown option \`$mode\`: --check or --write"
    "../../scripts/setup.sh" clients
    use_node
    # Node looks for packages beside the program, and these are not beside the source.
    ln -s "$cache/mcp-ts/node_modules" "$work/node_modules"
    cp -r fixture matrix ./*.mjs "$work/"
    mkdir -p "$out"
    rm -f "$out"/*.jsonl
    writ_start
    writ_prepare
    for server in "${servers[@]}"; do server_start "$server"; done
    writ_do agent create client --owner maya --blueprint client --purpose conformance --generate-key "$work/agent.pem"
    for server in "${servers[@]}"; do
        admit "$server" --pass sampling --pass roots --pass logging
        admit "$server-plain"
    done
    write_scope
    # One lane for each server: what one client provokes there is not heard by the next.
    local lanes=() lane
    for server in "${servers[@]}"; do
        lane_of "$server" &
        lanes+=($!)
    done
    for lane in "${lanes[@]}"; do wait "$lane" || die "a client broke off; see above"; done
    node matrix/table.mjs "$mode" "$page" "$out"
}

lane_of() {
    local client
    for client in "${clients[@]}"; do run_client "$client" "$1"; done
}

# run_client CLIENT SERVER: all rows, under a task of its own that ends in the last one.
run_client() {
    local client=$1 server=$2 task each prefix=$work/$1-$2
    task=$("$writ" task create --agent client --purpose conformance --scope "$work/scope.json" --for 15m -o name)
    for each in "$server" "$server-plain"; do
        "$writ" token --agent client --key "$work/agent.pem" --resource "$each" --task "$task" \
            >"$work/$client-$each.token" 2>>"$out/tokens.log"
    done
    # How often a server is called that needs an answer meanwhile: in 2026-07-28 a question is a result.
    local rounds=1
    case $(<"$work/$server.generation") in
        stateless) rounds=2 ;;
        both) if [[ $client == *-stateless ]]; then rounds=2; fi ;;
    esac
    local program=(node "$work/matrix/client.mjs")
    case $client in
        py1) program=("$cache/mcp-py1/bin/python" matrix/client.py) ;;
        py2-*) program=("$cache/mcp-py2/bin/python" matrix/client.py) ;;
    esac
    "${program[@]}" --client "$client" \
        --plan "$work/$server.json" --rounds "$rounds" --record "$out/$server.record" \
        --url "$WRIT_URL/mcp/$server" --token-file "$prefix.token" \
        --plain-url "$WRIT_URL/mcp/$server-plain" --plain-token-file "$prefix-plain.token" \
        --denial "$help" --stop "$writ task kill $task --reason conformance --yes" \
        >"$out/$client-$server.jsonl" 2>"$out/$client-$server.log" || { cat "$out/$client-$server.log" >&2; return 1; }
}

# server_start NAME: the server, and before it the tap that records what arrives there; sets taps[NAME].
declare -A taps=()
server_start() {
    local name=$1
    case $name in
        everything) everything_start ;;
        python*) program_start "server $name" "$out/$name.log" "$cache/mcp-py${name:6:1}/bin/python" fixture/server.py ;;
        *) node_start "server $name" "$out/$name.log" "$work/fixture/$name.mjs" ;;
    esac
    pids+=("$started_pid")
    : >"$out/$name.record"
    node_start "the tap of $name" "$out/$name-tap.log" "$work/tap.mjs" --to "$url" --record "$out/$name.record"
    pids+=("$started_pid")
    taps[$name]=$url
    python3 - "$name" "$work" <<'PYTHON'
import json, sys
name, work = sys.argv[1:]
known = json.load(open(f"{work}/matrix/servers.json"))
server = known["servers"][name]
plan = {part: asked for part, asked in known["plans"][server["plan"]].items() if part not in server["lacks"]}
json.dump(plan, open(f"{work}/{name}.json", "w"))
open(f"{work}/{name}.generation", "w").write(server["generation"])
open(f"{work}/{name}.forbidden", "w").write(plan["forbidden"]["tool"])
PYTHON
}

# It cannot choose a free port itself, and one that was free a moment ago may be taken.
everything_start() {
    local port
    for _ in 1 2 3 4 5; do
        port=$(free_port)
        PORT=$port node "$work/node_modules/@modelcontextprotocol/server-everything/dist/index.js" streamableHttp \
            >"$out/everything.log" 2>&1 &
        started_pid=$!
        url=http://127.0.0.1:$port/mcp
        if wait_until 20 "server everything" everything_listens $!; then return; fi
    done
    die "server-everything does not start: $(cat "$out/everything.log")"
}

everything_listens() {
    kill -0 "$1" 2>/dev/null && grep -q 'listening on port' "$out/everything.log"
}

# admit SERVER: in the catalogue, with everything granted but one tool, which a policy forbids.
admit() {
    local name=$1 tool
    shift
    writ_do server add "$name" "${taps[${name%-plain}]}" --discover "$@"
    writ_do grant create "$name" --to agent/client --role all --on "server/$name" --reason conformance
    tool=$(<"$work/${name%-plain}.forbidden")
    cat >"$work/forbid.cedar" <<CEDAR
@help("$help")
forbid (principal is Agent, action == Action::"$name/$tool", resource);
CEDAR
    writ_do policy put "keep-$name" "$work/forbid.cedar" --description "one tool is not for agents"
}

# What one task of the client covers: all that there is.
write_scope() {
    local server name
    for server in "${servers[@]}"; do
        for name in "$server" "$server-plain"; do printf '%s\n' "$name"; done
    done | python3 -c '
import json, sys
names = sys.stdin.read().split()
print(json.dumps({
    "tools": [{"server": name, "tool": "*"} for name in names],
    "resources": [{"server": name, "uri": {"prefix": ""}} for name in names],
    "prompts": [{"server": name, "prompt": "*"} for name in names],
}))' >"$work/scope.json"
}

finish() {
    writ_stop
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    rm -rf "$work"
}

main "$@"
