#!/usr/bin/env bash
# Runs the `sh` blocks of every page under docs/tutorial and docs/how-to, each page from top to bottom in a folder of its own.
# A block with a file's name behind its language (```python agent.py) is written to that file first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cache=${WRIT_CACHE:-$HOME/.cache/writ}
binary=${WRIT_BIN:-${CARGO_TARGET_DIR:-$cache/target}/debug/writ}
[[ -x $binary ]] || { echo "docs: there is no \`$binary\`: cargo build --package writ" >&2; exit 1; }
work=$(mktemp -d)
upstream_pid=''
trap 'finish' EXIT

main() {
    mkdir "$work/bin"
    ln -s "$binary" "$work/bin/writ"
    # `python` is the one with the SDK, as after the `pip install` that a page names.
    export PATH="$work/bin:$cache/mcp-py2/bin:$PATH"
    upstream_start
    local page
    for page in docs/tutorial/*.md docs/how-to/*.md; do
        [[ -e $page ]] || continue
        run_page "$page"
        echo "docs: $page runs"
    done
    # Of what the README shows, the picture too is what happens.
    writ demo 2>&1 | scripts/demo_picture.py --check docs/pictures/demo.svg
    echo "docs: docs/pictures/demo.svg shows what the demo prints"
}

run_page() {
    local page=$1 folder
    folder=$(mktemp -d -p "$work")
    # Node looks for packages beside the program.
    ln -s "$cache/mcp-ts/node_modules" "$folder/node_modules"
    # What the page starts in the background ends with it.
    { echo 'set -euo pipefail; trap "kill \$(jobs -p) 2>/dev/null; wait" EXIT'; blocks "$page"; } >"$folder/page.sh"
    if ! (cd "$folder" && UPSTREAM=$upstream_url bash -x ./page.sh >"$folder/out" 2>&1); then
        cat "$folder/out" >&2
        echo "docs: $page does not run; what it printed is above" >&2
        return 1
    fi
}

blocks() {
    awk '
        /^```sh$/ { inside = 1; next }
        /^```[a-z]+ [a-z.]+$/ { inside = 1; file = $2; print "cat >" file " <<\"END OF FILE\""; next }
        /^```$/ { if (file) print "END OF FILE"; inside = 0; file = "" }
        inside' "$1"
}

# server-everything takes its port from the environment and cannot choose a free one, so a free one is looked for.
upstream_start() {
    local port attempt
    for attempt in 1 2 3 4 5; do
        port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        PORT=$port node "$cache/mcp-ts/node_modules/@modelcontextprotocol/server-everything/dist/index.js" streamableHttp \
            >"$work/upstream.log" 2>&1 &
        upstream_pid=$!
        for _ in {1..200}; do
            if grep -q 'listening on port' "$work/upstream.log"; then
                upstream_url=http://127.0.0.1:$port/mcp
                return
            fi
            kill -0 "$upstream_pid" 2>/dev/null || break
            sleep 0.05
        done
    done
    cat "$work/upstream.log" >&2
    echo "docs: the upstream server does not start after $attempt attempts; its log is above" >&2
    return 1
}

finish() {
    [[ -z $upstream_pid ]] || kill "$upstream_pid" 2>/dev/null || true
    rm -rf "$work"
}

main
