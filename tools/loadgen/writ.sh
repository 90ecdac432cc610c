# Writ with its defaults on, ready to be measured; sourced by bench.sh.
#
# writ_up MODE UPSTREAM   starts the release binary with a fresh database, 1,000 grants and one agent that may call `echo`, which
#                         is confirmed as `read`; MODE is `strict` or `asynchronous`. Sets writ_mcp_url, writ_token_file,
#                         writ_bound_file (a token that is bound to writ_key_file) and writ_pid of MODE, and prints start
#                         times and idle memory
# writ_crowd N            starts another with N agents that have ten grants each, and prints what it needs in memory
# writ_mint MODE N FILE   writes N tokens into FILE, of the task of writ_token_file
# writ_down               ends all of them
# shellcheck shell=bash disable=SC2034,SC2154  # the variables are bench.sh's

declare -A writ_pid=() writ_mcp_url=() writ_token_file=() writ_bound_file=() writ_key_file=()
writ=${WRIT_BIN:-${WRIT_CACHE:-$HOME/.cache/writ}/target/dist/writ}

writ_up() {
    local mode=$1 upstream=$2 data=${BENCH_DIR:-$work}/writ-$1
    [[ -x $writ ]] || { echo "bench: there is no \`$writ\`: cargo build --profile dist --package writ" >&2; return 1; }
    echo "asynchronous_reads = $([[ $mode == asynchronous ]] && echo true || echo false)" >"$work/$mode.toml"
    writ_start_once "$mode" "$data" "first start with schema"
    kill "${writ_pid[$mode]}"
    wait "${writ_pid[$mode]}" 2>/dev/null || true
    writ_start_once "$mode" "$data" "warm start"
    echo "bench: writ ($mode) idle memory: $(writ_memory "$mode") MiB"
    writ_admit "$mode" "$upstream" >"$work/writ-admit-$mode.log"
}

# writ_start_once MODE DATA WHAT
writ_start_once() {
    local mode=$1 data=$2 began ended
    rm -f "$work/ready.json"
    began=$(date +%s%N)
    "$writ" up --data "$data" --listen 127.0.0.1:0 --config "$work/$mode.toml" --ready-file "$work/ready.json" \
        >>"$work/writ.log" 2>&1 &
    writ_pid[$mode]=$!
    until [[ -s $work/ready.json ]]; do
        kill -0 "${writ_pid[$mode]}" || { cat "$work/writ.log" >&2; return 1; }
        sleep 0.005
    done
    ended=$(date +%s%N)
    echo "bench: writ ($mode) $3: $(((ended - began) / 1000000)) ms"
    WRIT_URL=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$work/ready.json")
    WRIT_TOKEN=$(cat "$data/admin.token")
    export WRIT_URL WRIT_TOKEN
}

writ_admit() {
    local mode=$1
    "$writ" person create maya
    "$writ" server add bench "$2" --discover
    "$writ" tool label bench/echo read
    writ_documents 1000 >"$work/documents.yaml"
    "$writ" apply -f "$work/documents.yaml" -o name
    local key=$work/caller-$mode.pem
    "$writ" agent create caller --owner maya --blueprint bench --purpose bench --generate-key "$key"
    "$writ" grant create caller-echoes --to agent/caller --role operator --on server/bench --reason bench
    writ_key_file[$mode]=$key writ_token_file[$mode]=$work/writ-token-$mode writ_bound_file[$mode]=$work/writ-bound-$mode
    "$writ" token --agent caller --key "$key" --resource bench --purpose bench --tool bench/echo >"${writ_token_file[$mode]}"
    "$writ" token --agent caller --key "$key" --resource bench --dpop-key "$key" >"${writ_bound_file[$mode]}"
    writ_mcp_url[$mode]=$WRIT_URL/mcp/bench
}

writ_crowd() {
    local agents=$1 data=${BENCH_DIR:-$work}/writ-crowd part began ended
    echo >"$work/crowd.toml"
    writ_start_once crowd "$data" "first start with schema"
    "$writ" person create maya >"$work/writ-admit-crowd.log"
    writ_documents 0 >"$work/crowd-000000.yaml"
    seq 0 9 | xargs -I{} printf -- '---\napiVersion: writ/v1\nkind: Server\nmetadata: {name: s-{}}\nspec: {url: "http://127.0.0.1:9/{}"}\n' \
        >>"$work/crowd-000000.yaml"
    seq "$agents" | awk -v "folder=$work" '
        NR % 300 == 1 { if (file) close(file); file = sprintf("%s/crowd-%06d.yaml", folder, NR) }
        {
            printf "---\napiVersion: writ/v1\nkind: Agent\nmetadata: {name: a-%d}\nspec: {owner: maya, blueprint: bench, purpose: stands beside}\n", $1 >file
            for (i = 0; i < 10; i++)
                printf "---\napiVersion: writ/v1\nkind: Grant\nmetadata: {name: a-%d-%d}\nspec: {to: agent/a-%d, role: reader, on: server/s-%d, reason: bench}\n", $1, i, $1, i >file
        }'
    began=$(date +%s)
    for part in "$work"/crowd-*.yaml; do "$writ" apply -f "$part" -o name >>"$work/writ-admit-crowd.log"; done
    ended=$(date +%s)
    echo "bench: writ (crowd) $agents agents with ten grants each applied in $((ended - began)) s; memory $(writ_memory crowd) MiB"
    kill "${writ_pid[crowd]}"
    wait "${writ_pid[crowd]}" 2>/dev/null || true
    writ_start_once crowd "$data" "warm start with them"
    echo "bench: writ (crowd) memory after that start: $(writ_memory crowd) MiB"
}

writ_memory() {
    awk '/VmRSS/ {print $2 / 1024}' "/proc/${writ_pid[$1]}/status"
}

writ_mint() {
    local mode=$1 number=$2 file=$3
    local -x WRIT_URL=${writ_mcp_url[$mode]%/mcp/bench}
    seq "$number" | xargs -P 2 -I{} "$writ" token --agent caller --key "${writ_key_file[$mode]}" --resource bench \
        2>/dev/null >"$file"
}

# writ_documents N: a blueprint whose tokens outlive the run, and N agents with a grant each.
writ_documents() {
    local number=$1
    cat <<YAML
apiVersion: writ/v1
kind: Blueprint
metadata: {name: bench}
spec:
  description: measured
  limits: {calls_max: 1000000000, bytes_max: 1000000000000, task_seconds_max: 86400, token_seconds: 3600, depth_max: 4}
YAML
    local i
    for ((i = 0; i < number; i++)); do
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
    local mode
    for mode in "${!writ_pid[@]}"; do
        kill "${writ_pid[$mode]}" 2>/dev/null || true
        wait "${writ_pid[$mode]}" 2>/dev/null || true
    done
    writ_pid=()
}
