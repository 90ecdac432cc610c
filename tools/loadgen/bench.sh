#!/usr/bin/env bash
# The load run: one MCP tool call through each way there is on this machine, in one go, so that the figures compare.
#
# Direct, nginx (where installed), the reference gateway (its token checked once, and at each call), and Writ with its defaults on:
# authentication, policy with 1,000 grants, and the record, durable before each call is forwarded (strict mode) or within 100 ms
# after it (asynchronous mode, for the reads that these calls are).
# Tokens of Writ, each on record before it leaves, stand beside those of npm oidc-provider, which keeps nothing.
# Two more ways into Writ stand beside the gateway that verifies at each call: a DPoP proof with each call, and tokens that were
# never seen before.
# Sizes: BENCH_SLICE (seconds, 2), BENCH_ROUNDS (3), BENCH_CONCURRENCY ("1 16 64"), BENCH_TOKENS (3000, for the tokens never seen;
# 0 leaves them out), BENCH_AGENTS (10000, for the memory of a large catalogue; 0 leaves it out), BENCH_PORT (19000), BENCH_DIR (a
# folder on the disk that holds the data of Writ; default the temporary folder).
# How to read the figures: README.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

port=${BENCH_PORT:-19000}
refgw_port=$((port + 1)) nginx_port=$((port + 2)) each_port=$((port + 3)) oidc_port=$((port + 4))
slice=${BENCH_SLICE:-2} rounds=${BENCH_ROUNDS:-3}
export CARGO_TARGET_DIR=${WRIT_CACHE:-$HOME/.cache/writ}/target/loadgen
bin=$CARGO_TARGET_DIR/release
work=$(mktemp -d)
trap 'finish' EXIT
pids=()
# shellcheck source=tools/loadgen/writ.sh
source ./writ.sh
# shellcheck source=tools/loadgen/tokens.sh
source ./tokens.sh

main() {
    cargo build --release --quiet --locked
    "$bin/mint" --alg ES256 --jwks "$work/jwks.json" --token "$work/token" \
        --claims '{"iss":"http://127.0.0.1","sub":"agent-1","aud":"http://127.0.0.1/mcp","scope":"tools:call"}'
    start "$bin/fakeup" --listen "127.0.0.1:$port" --jwks "$work/jwks.json"
    answers "$port"
    start "$bin/refgw" --listen "127.0.0.1:$refgw_port" --upstream "127.0.0.1:$port" --jwks "$work/jwks.json" --mode cached
    local refgw=$! nginx='' mode
    start "$bin/refgw" --listen "127.0.0.1:$each_port" --upstream "127.0.0.1:$port" --jwks "$work/jwks.json" --mode full
    each=$!
    if command -v nginx >/dev/null; then
        nginx_config >"$work/nginx.conf"
        start nginx -p "$work" -c "$work/nginx.conf" -e "$work/nginx.log"
        nginx=$!
        answers "$nginx_port"
    else
        echo "bench: nginx is not installed, its reference point is left out" >&2
    fi
    for mode in strict asynchronous; do writ_up "$mode" "http://127.0.0.1:$port/mcp"; done
    tokens_up strict
    local concurrency
    for concurrency in ${BENCH_CONCURRENCY:-1 16 64}; do
        measure direct "$concurrency" --url "http://127.0.0.1:$port/mcp" --pid "${pids[0]}"
        if [[ -n $nginx ]]; then
            measure nginx "$concurrency" --url "http://127.0.0.1:$nginx_port/mcp" --pid "$nginx"
        fi
        measure refgw "$concurrency" --url "http://127.0.0.1:$refgw_port/mcp" --bearer-file "$work/token" --pid "$refgw"
        measure refgw-each "$concurrency" --url "http://127.0.0.1:$each_port/mcp" --bearer-file "$work/token" --pid "$each"
        for mode in strict asynchronous; do
            measure "writ-$mode" "$concurrency" --url "${writ_mcp_url[$mode]}" --bearer-file "${writ_token_file[$mode]}" \
                --pid "${writ_pid[$mode]}"
        done
        measure writ-strict-dpop "$concurrency" --url "${writ_mcp_url[strict]}" --bearer-file "${writ_bound_file[strict]}" \
            --dpop-key "${writ_key_file[strict]}" --pid "${writ_pid[strict]}"
        tokens_measure "$concurrency"
    done
    if ((${BENCH_TOKENS:-3000} > 0)); then measure_cold "${BENCH_TOKENS:-3000}"; fi
    if ((${BENCH_AGENTS:-10000} > 0)); then writ_crowd "${BENCH_AGENTS:-10000}"; fi
    "$bin/limits" --dir "${BENCH_DIR:-$work}" --seconds 1
}

# measure LABEL CONCURRENCY FLAGS...: alternates with the control, and fails on any wrong answer.
measure() {
    local label=$1 concurrency=$2
    shift 2
    "$bin/load" --text --label "$label" --mode mcp --tool echo --args '{"message":"hello"}' --expect hello \
        --control "http://127.0.0.1:$port/ping" --concurrency "$concurrency" --slice "$slice" --rounds "$rounds" "$@"
}

# Each token is sent once, so the run is as short as there are tokens: no warm-up, one slice.
measure_cold() {
    local number=$1 mode
    for mode in strict asynchronous; do
        writ_mint "$mode" "$number" "$work/tokens-$mode"
        slice=0.2 rounds=1 measure refgw-each 16 --url "http://127.0.0.1:$each_port/mcp" --bearer-file "$work/token" \
            --pid "$each" --warmup 0
        slice=0.2 rounds=1 measure "writ-$mode-cold" 16 --url "${writ_mcp_url[$mode]}" --bearers-file "$work/tokens-$mode" \
            --pid "${writ_pid[$mode]}" --warmup 0
    done
}

start() {
    "$@" >>"$work/servers.log" 2>&1 &
    pids+=($!)
}

answers() {
    local attempt
    for attempt in {1..100}; do
        if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
        sleep 0.05
    done
    cat "$work/servers.log" >&2
    echo "bench: nothing listens on port $1 after $attempt attempts; the servers' log is above" >&2
    return 1
}

# A plain reverse proxy without authentication: what moving the bytes costs.
nginx_config() {
    cat <<CONFIG
daemon off;
worker_processes 1;
pid $work/nginx.pid;
error_log $work/nginx.log;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path $work/body; proxy_temp_path $work/proxy; fastcgi_temp_path $work/f;
    uwsgi_temp_path $work/u; scgi_temp_path $work/s;
    upstream up { server 127.0.0.1:$port; keepalive 128; }
    server {
        listen 127.0.0.1:$nginx_port;
        keepalive_requests 1000000000;
        location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }
    }
}
CONFIG
}

finish() {
    writ_down
    ((${#pids[@]})) && kill "${pids[@]}" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$work"
}

main "$@"
