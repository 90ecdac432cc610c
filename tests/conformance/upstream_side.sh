#!/usr/bin/env bash
# A client for the suite that is Writ's upstream side: makes the suite's server an upstream of a Writ that runs, and
# drives a client through it. Called by the suite, with the URL of its server; what Writ is comes from suite.sh.
#
#   MCP_CONFORMANCE_SCENARIO=NAME upstream_side.sh URL
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# shellcheck source=tests/conformance/common.sh
source ./common.sh
# shellcheck source=tests/conformance/writ.sh
source ./writ.sh

# Writ declares what it carries: what the client behind it declares, and no more.
writ_passes=()
# A server of its own for each scenario; underscores are not for names.
writ_admit_all "${MCP_CONFORMANCE_SCENARIO//_/-}" "$1"
exec node "$work/upstream_side.mjs" --token-file "$writ_token_file" "$writ_mcp_url"
