# Writ with its defaults on, ready to be measured; sourced by bench.sh.
#
# writ_up UPSTREAM   starts the release binary with a fresh database, 1,000 grants and one agent that may call `echo`;
#                    sets writ_mcp_url, writ_token_file and writ_pid, and prints start times and idle memory
# writ_down          ends it
# shellcheck shell=bash disable=SC2034,SC2154  # the variables are bench.sh's

writ_pid='' writ_mcp_url='' writ_token_file=''
writ=${WRIT_BIN:-${WRIT_CACHE:-$HOME/.cache/writ}/target/release/writ}

writ_up() {
    local upstream=$1 data=${BENCH_DIR:-$work}/writ-data
    [[ -x $writ ]] || { echo "bench: there is no \`$writ\`: cargo build --release --package writ" >&2; return 1; }
    writ_start_once "$data" "first start with schema"
    writ_down
    writ_start_once "$data" "warm start"
    echo "bench: writ idle memory: $(awk '/VmRSS/ {print $2 / 1024}' "/proc/$writ_pid/status") MiB"
    writ_admit "$upstream" >"$work/writ-admit.log"
}

# writ_start_once DATA WHAT
writ_start_once() {
    local data=$1 began ended
    rm -f "$work/ready.json"
    began=$(date +%s%N)
    "$writ" up --data "$data" --listen 127.0.0.1:0 --ready-file "$work/ready.json" >>"$work/writ.log" 2>&1 &
    writ_pid=$!
    until [[ -s $work/ready.json ]]; do
        kill -0 "$writ_pid" || { cat "$work/writ.log" >&2; return 1; }
        sleep 0.005
    done
    ended=$(date +%s%N)
    echo "bench: writ $2: $(((ended - began) / 1000000)) ms"
    WRIT_URL=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$work/ready.json")
    WRIT_TOKEN=$(cat "$data/admin.token")
    export WRIT_URL WRIT_TOKEN
}

writ_admit() {
    "$writ" person create maya
    "$writ" server add bench "$1" --discover
    writ_documents >"$work/documents.yaml"
    "$writ" apply -f "$work/documents.yaml" -o name
    "$writ" agent create caller --owner maya --blueprint bench --purpose bench --generate-key "$work/caller.pem"
    "$writ" grant create caller-echoes --to agent/caller --role operator --on server/bench --reason bench
    writ_token_file=$work/writ-token
    "$writ" token --agent caller --key "$work/caller.pem" --resource bench --purpose bench --tool bench/echo >"$writ_token_file"
    writ_mcp_url=$WRIT_URL/mcp/bench
}

# A blueprint whose tokens outlive the run, and a thousand agents with a grant each.
writ_documents() {
    cat <<YAML
apiVersion: writ/v1
kind: Blueprint
metadata: {name: bench}
spec:
  description: measured
  limits: {calls_max: 1000000000, bytes_max: 1000000000000, task_seconds_max: 86400, token_seconds: 3600, depth_max: 4}
YAML
    local i
    for ((i = 0; i < 1000; i++)); do
        cat <<YAML
---
apiVersion: writ/v1
kind: Agent
metadata: {name: other-$i}
spec: {owner: maya, blueprint: bench, purpose: stands beside}
---
apiVersion: writ/v1
kind: Grant
metadata: {name: other-$i}
spec: {to: agent/other-$i, role: reader, on: server/bench, reason: bench}
YAML
    done
}

writ_down() {
    [[ -n $writ_pid ]] || return 0
    kill "$writ_pid" 2>/dev/null || true
    wait "$writ_pid" 2>/dev/null || true
    writ_pid=''
}
