#!/usr/bin/env bash
# People at Writ's pages in a real browser, and the real clients and sites that send them there.
#
#   tests/e2e/run.sh [pages] [clients] [sites] [mail]      nothing named: all of them
#
# WRIT_BIN names the binary. SHOTS names a folder for pictures of every page.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export WRIT_CACHE=${WRIT_CACHE:-$HOME/.cache/writ}
export WRIT_BIN=${WRIT_BIN:-${CARGO_TARGET_DIR:-$WRIT_CACHE/target}/debug/writ}
own=$WRIT_CACHE/mcp-node/node_modules/.bin
if [[ -x $own/node ]]; then export PATH=$own:$PATH; fi
[[ -x $WRIT_BIN ]] || { echo "e2e: there is no \`$WRIT_BIN\`: run \`cargo build --package writ\`, or name it in WRIT_BIN" >&2; exit 1; }
(($#)) || set -- pages clients sites mail

# A site in Rust has a workspace of its own.
export RELYING_PARTY=$WRIT_CACHE/target/relying-party/debug/relying-party
if [[ " $* " == *" sites "* ]]; then
    CARGO_TARGET_DIR=$WRIT_CACHE/target/relying-party cargo build --quiet --locked --manifest-path tests/e2e/relying-party/Cargo.toml
fi

# Packages are found from where a script lies, so the scripts go to the packages.
cp tests/e2e/*.mjs tests/e2e/client.py "$WRIT_CACHE/e2e/"
failed=0
for part in "$@"; do
    echo "e2e: $part"
    (cd "$WRIT_CACHE/e2e" && node "$part.mjs") || failed=1
done
exit $failed
