#!/usr/bin/env bash
# The official MCP conformance suite, without and with Writ in between: the verdicts must be the same.
#
#   tests/conformance/suite.sh [direct] [writ] [client]      nothing named: writ and client
#
# `direct`: the suite against the fixtures, which must pass everything.
# `writ`:   the same, and then once more through Writ; shows every check whose verdict differs.
# `client`: the suite's scenarios for clients, against an official client and against Writ's upstream side.
#
# CONFORMANCE_OUT=FOLDER keeps what the suite and the servers wrote.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# shellcheck source=tests/conformance/common.sh
source ./common.sh
# shellcheck source=tests/conformance/writ.sh
source ./writ.sh

work=$(mktemp -d)
export work
out=${CONFORMANCE_OUT:-$work/out}
fixture_pid='' front_pid='' url='' is_different=0
trap finish EXIT

revisions=(2025-11-25 2026-07-28)
declare -A fixtures=([2025-11-25]=legacy [2026-07-28]=modern)

# What of the suite asks something of a gateway's upstream side; README.md says what is left out, and why.
declare -A client_scenarios=(
    [2025-11-25]="initialize tools_call elicitation-sep1034-client-defaults sse-retry json-schema-2020-12-preservation"
    [2026-07-28]="tools_call request-metadata sep-2322-client-request-state http-standard-headers http-custom-headers
        http-invalid-tool-headers json-schema-ref-no-deref json-schema-2020-12-preservation"
)

main() {
    (($#)) || set -- writ client
    "../../scripts/setup.sh" clients
    use_node
    # Node looks for packages beside the program, and these are not beside the source.
    ln -s "$cache/mcp-ts/node_modules" "$work/node_modules"
    cp -r fixture ./*.mjs "$work/"
    suite=$work/node_modules/.bin/conformance
    local mode revision
    for mode in "$@"; do
        case $mode in
            direct | writ | client) ;;
            *) die "unknown mode \`$mode\`: choose among direct, writ, client" ;;
        esac
        for revision in "${revisions[@]}"; do "run_$mode" "$revision"; done
    done
    ((is_different == 0)) || die "not every verdict is as it should be: the tables are above"
    echo "conformance: every verdict of the suite is as it should be in mode \`$*\`"
}

run_direct() {
    local here=$out/direct/$1
    fixture_start "$1"
    check_server "$1" "$url" "$here"
    fixture_stop
    show server "$1" "$here"
}

run_writ() {
    local direct=$out/direct/$1 through=$out/writ/$1
    fixture_start "$1"
    check_server "$1" "$url" "$direct"
    # Anew, so that both runs meet a server in the same state.
    fixture_stop
    fixture_start "$1"
    writ_start
    writ_prepare
    writ_admit_all fixture "$url"
    front_start "$writ_mcp_url" "$writ_token_file"
    check_server "$1" "$url" "$through"
    front_stop
    writ_stop
    fixture_stop
    show server "$1" "$direct" "$through"
}

run_client() {
    local direct=$out/client-direct/$1 through=$out/client-writ/$1
    check_client "$1" "node $work/upstream_side.mjs" "$direct"
    writ_start
    writ_prepare
    check_client "$1" "bash $PWD/upstream_side.sh" "$through"
    writ_stop
    show client "$1" "$direct" "$through"
}

# check_server REVISION URL FOLDER: everything that the revision requires of a server, and what the suite does not score.
check_server() {
    local log=$3.log announced
    fresh "$3"
    # It fails where a check does; the verdicts say more.
    "$suite" server --url "$2" --requirements "$1" -o "$3" >"$log" 2>&1 || true
    sed -nE 's/^=== Running scenario: (.+) ===$/\1/p' "$log" >"$3.scenarios"
    announced=$(sed -nE 's/^Running .*\(([0-9]+) scenarios\).*/\1/p' "$log")
    # A suite that broke off must not pass for one that found nothing.
    if ((${announced:-0} == 0 || $(wc -l <"$3.scenarios") != announced)); then
        tail -20 "$log" >&2
        die "the suite broke off; the end of its log is above"
    fi
}

# check_client REVISION COMMAND FOLDER: each scenario by itself, since the suite has no list of ours.
check_client() {
    local scenario
    fresh "$3"
    for scenario in ${client_scenarios[$1]}; do
        echo "$scenario" >>"$3.scenarios"
        "$suite" client --command "$2" --scenario "$scenario" --spec-version "$1" -o "$3" >>"$3.log" 2>&1 || true
    done
}

fresh() {
    rm -rf "$1" "$1.log" "$1.scenarios"
    mkdir -p "$1"
}

show() {
    local status=0
    node "$work/verdicts.mjs" "$@" || status=$?
    ((status <= 1)) || die "the run as $1 for $2 shows nothing"
    ((status == 0)) || is_different=1
}

fixture_start() {
    node_start "the fixture" "$out/${fixtures[$1]}.log" "$work/fixture/${fixtures[$1]}.mjs"
    fixture_pid=$started_pid
}

front_start() {
    node_start "the front" "$out/front.log" "$work/front.mjs" --to "$1" --token-file "$2"
    front_pid=$started_pid
}

fixture_stop() { stop "$fixture_pid"; fixture_pid=''; }
front_stop() { stop "$front_pid"; front_pid=''; }

stop() {
    [[ -n $1 ]] || return 0
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

finish() {
    front_stop
    writ_stop
    fixture_stop
    rm -rf "$work"
}

main "$@"
