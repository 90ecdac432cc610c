# Writ between the client and the upstream; sourced by run.sh, suite.sh, matrix.sh and upstream_side.sh.
#
# writ_start                starts Writ with a fresh database
# writ_prepare              makes what agents are made from; once
# writ_admit URL            registers the upstream and one agent that may call `echo` and the long call and nothing else;
#                           sets writ_denial (words of the denial) and writ_kill (the stop)
# writ_at_all URL           after writ_admit: a second server beside the first, and a token for all servers
# writ_admit_all NAME URL   registers the upstream NAME and an agent that may do everything there
# writ_stop                 ends it
#
# All of them set writ_mcp_url and writ_token_file.
# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of the scripts

writ_pid='' writ_mcp_url='' writ_token_file='' writ_denial='' writ_kill='' writ_task=''
# What passes between servers and clients beside the rest.
writ_passes=(--pass sampling --pass roots --pass logging)
# Further arguments of `writ up`.
writ_config=()

writ=${WRIT_BIN:-${CARGO_TARGET_DIR:-$cache/target}/debug/writ}

writ_start() {
    local data=$work/writ
    [[ -x $writ ]] || die "there is no \`$writ\`: run \`cargo build --package writ\`, or name it in WRIT_BIN"
    rm -rf "$data"
    "$writ" up --data "$data" --listen 127.0.0.1:0 --ready-file "$work/ready.json" "${writ_config[@]}" >"$work/writ.log" 2>&1 &
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

writ_prepare() {
    writ_do person create maya
    # A token that outlives the suite: its clients cannot ask for another one.
    writ_do blueprint create client --description "a client of an SDK" --token-life 1h
    writ_do role create all --description "all of it" "${writ_all_effects[@]}"
}

writ_all_effects=(--effect read --effect fetch --effect write --effect send --effect destroy --effect admin)

writ_admit() {
    local key=$work/agent.pem
    local covered=(--tool everything/echo --tool everything/trigger-long-running-operation)
    # Each client gets a fresh database, and so a fresh key.
    rm -f "$key"
    writ_do server add everything "$1" --discover
    writ_do tool label everything/echo read
    writ_do tool label everything/trigger-long-running-operation read
    writ_do role create conformance --description "reads" --effect read
    writ_do grant create clients-read --to blueprint/client --role conformance --on server/everything --reason conformance
    writ_do agent create client --owner maya --blueprint client --purpose conformance --generate-key "$key"
    writ_task=$("$writ" task create --agent client --purpose conformance "${covered[@]}" --for 15m -o name)
    writ_mcp_url=$WRIT_URL/mcp/everything
    writ_token_file=$work/token
    "$writ" token --agent client --key "$key" --resource everything --task "$writ_task" >"$writ_token_file" 2>>"$work/writ.log"
    writ_denial="does not cover"
    writ_kill="$writ task kill $writ_task --reason conformance --yes"
}

writ_at_all() {
    writ_do server add second "$1" --discover
    writ_mcp_url=$WRIT_URL/mcp
    "$writ" token --agent client --key "$work/agent.pem" --resource "$writ_mcp_url" --task "$writ_task" \
        >"$writ_token_file" 2>>"$work/writ.log"
}

writ_admit_all() {
    local name=$1 key=$work/$1.pem scope=$work/$1.json task
    # Each run gets a fresh database, and so a fresh key.
    rm -f "$key"
    writ_do server add "$name" "$2" "${writ_passes[@]}"
    # Where Writ cannot ask a server for its tools, the run goes on: it shows what does not work without them.
    if ! "$writ" server discover "$name" >"$work/said" 2>&1; then
        echo "conformance: Writ cannot discover \`$name\`:" >&2
        cat "$work/said" >&2
    fi
    writ_do agent create "$name" --owner maya --blueprint client --purpose conformance --generate-key "$key"
    writ_do grant create "$name" --to "agent/$name" --role all --on "server/$name" --reason conformance
    cat >"$scope" <<SCOPE
{"tools": [{"server": "$name", "tool": "*"}],
 "resources": [{"server": "$name", "uri": {"prefix": ""}}],
 "prompts": [{"server": "$name", "prompt": "*"}]}
SCOPE
    task=$("$writ" task create --agent "$name" --purpose conformance --scope "$scope" --for 1h -o name)
    writ_mcp_url=$WRIT_URL/mcp/$name
    writ_token_file=$work/$name.token
    "$writ" token --agent "$name" --key "$key" --resource "$name" --task "$task" >"$writ_token_file" 2>>"$work/writ.log"
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
