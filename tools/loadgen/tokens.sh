# Tokens, next to npm oidc-provider; sourced by bench.sh.
#
# tokens_up MODE                gives the agent `caller` of the running Writ a shared secret and its owner a token to delegate with,
#                               and starts oidc-provider where there is a Node and its packages. Sets writ_basic and delegated
# tokens_measure CONCURRENCY    client credentials of both, and token exchange of Writ, which costs a record like the other
# shellcheck shell=bash disable=SC2154  # the variables are bench.sh's

oidc=${WRIT_CACHE:-$HOME/.cache/writ}/oidc-provider
oidc_pid='' writ_basic='' delegated=''

tokens_up() {
    local -x WRIT_URL=${writ_mcp_url[$1]%/mcp/bench} WRIT_TOKEN
    WRIT_TOKEN=$(<"${BENCH_DIR:-$work}/writ-$1/admin.token")
    writ_basic=$(printf 'caller:%s' "$("$writ" agent keys add caller --secret)" | base64 -w 0)
    delegated=$("$writ" person token create maya --label bench)
    if [[ ! -d $oidc/node_modules ]]; then
        echo "bench: oidc-provider is not installed (scripts/setup.sh bench), its reference point is left out" >&2
        return
    fi
    # Packages are found from where a script lies, so the script goes to the packages.
    cp oidc-provider/provider.mjs "$oidc/"
    start node "$oidc/provider.mjs" "$oidc_port"
    oidc_pid=$!
    answers "$oidc_port"
}

tokens_measure() {
    local concurrency=$1 url=${writ_mcp_url[strict]%/mcp/bench}/oauth2/token resource=${writ_mcp_url[strict]}
    local kind=urn:ietf:params:oauth:token-type:access_token
    if [[ -n $oidc_pid ]]; then
        token_load tokens-oidc-provider "$concurrency" --url "http://127.0.0.1:$oidc_port/token" --pid "$oidc_pid" \
            --header "authorization: Basic $(printf 'caller:secret' | base64)" \
            --body 'grant_type=client_credentials&scope=tools:call&resource=http://127.0.0.1/mcp'
    fi
    token_load tokens-writ "$concurrency" --url "$url" --pid "${writ_pid[strict]}" --header "authorization: Basic $writ_basic" \
        --body "grant_type=client_credentials&resource=$resource"
    token_load tokens-writ-exchange "$concurrency" --url "$url" --pid "${writ_pid[strict]}" \
        --header "authorization: Basic $writ_basic" \
        --body "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=$delegated&subject_token_type=$kind&resource=$resource"
}

# token_load LABEL CONCURRENCY FLAGS...: alternates with the control, and fails on any answer without a token.
token_load() {
    local label=$1 concurrency=$2
    shift 2
    "$bin/load" --text --label "$label" --mode http --content-type application/x-www-form-urlencoded --expect access_token \
        --control "http://127.0.0.1:$port/ping" --concurrency "$concurrency" --slice "$slice" --rounds "$rounds" "$@"
}
