# Writ between the client and the upstream; sourced by run.sh.
#
# writ_start URL   starts Writ with a fresh database
# writ_admit       registers the upstream and one agent that may call `echo` and the long call and nothing else;
#                  sets writ_mcp_url, writ_token_file, writ_denial (words of the denial) and writ_kill (the stop)
# writ_stop        ends it
# shellcheck shell=bash disable=SC2034,SC2154  # the variables are run.sh's

writ_pid='' writ_mcp_url='' writ_token_file='' writ_denial='' writ_kill=''

writ_start() {
    writ_upstream=$1
    local binary=${WRIT_BIN:-${CARGO_TARGET_DIR:-$cache/target}/debug/writ} data=$work/writ
    [[ -x $binary ]] || die "there is no \`$binary\`: run \`cargo build --package writ\`, or name it in WRIT_BIN"
    writ=$binary
    rm -rf "$data"
    "$writ" up --data "$data" --listen 127.0.0.1:0 --ready-file "$work/ready.json" >"$work/writ.log" 2>&1 &
    writ_pid=$!
    if ! wait_until 30 "writ" writ_is_ready; then
        cat "$work/writ.log" >&2
        die "writ does not start; its log is above"
    fi
    WRIT_URL=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["url"])' "$work/ready.json")
    WRIT_TOKEN=$(cat "$data/admin.token")
    export WRIT_URL WRIT_TOKEN
}

writ_is_ready() {
    kill -0 "$writ_pid" 2>/dev/null || die "writ ended at once: $(cat "$work/writ.log")"
    [[ -s $work/ready.json ]]
}

writ_admit() {
    local key=$work/agent.pem task
    local covered=(--tool everything/echo --tool everything/trigger-long-running-operation)
    # Each client gets a fresh database, and so a fresh key.
    rm -f "$key"
    writ_do person create maya
    writ_do blueprint create client --description "a client of an SDK"
    writ_do server add everything "$writ_upstream" --discover
    writ_do tool label everything/echo read
    writ_do tool label everything/trigger-long-running-operation read
    writ_do role create conformance --description "reads" --effect read
    writ_do grant create clients-read --to blueprint/client --role conformance --on server/everything --reason conformance
    writ_do agent create client --owner maya --blueprint client --purpose conformance --generate-key "$key"
    task=$("$writ" task create --agent client --purpose conformance "${covered[@]}" --for 15m -o name)
    writ_mcp_url=$WRIT_URL/mcp/everything
    writ_token_file=$work/token
    "$writ" token --agent client --key "$key" --resource everything --task "$task" >"$writ_token_file" 2>>"$work/writ.log"
    writ_denial="does not cover"
    writ_kill="$writ task kill $task --reason conformance --yes"
}

# Runs a command and shows what it said only when it fails.
writ_do() {
    "$writ" "$@" >"$work/said" 2>&1 || { cat "$work/said" >&2; die "\`writ $*\` failed"; }
}

writ_stop() {
    [[ -n $writ_pid ]] || return 0
    kill "$writ_pid" 2>/dev/null || true
    wait "$writ_pid" 2>/dev/null || true
    writ_pid=''
    rm -f "$work/ready.json"
}
