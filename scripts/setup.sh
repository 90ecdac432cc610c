#!/usr/bin/env bash
# Brings a Debian machine to the point where `make test` runs, or says exactly what is missing.
#
#   scripts/setup.sh [rust] [postgres] [nginx] [strace] [clients] [browser] [bench]      nothing named: all but the last
#
# Idempotent, and quick when everything is there. Downloads land under ${WRIT_CACHE:-$HOME/.cache/writ}; only
# Debian packages are installed into the system, and only by root. Versions are pinned in the files that are
# named in `install_python`, `install_packages`, `install_node` and `install_inspector`; a change of those files installs anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache=${WRIT_CACHE:-$HOME/.cache/writ}
clients=tests/conformance
missing=()

main() {
    mkdir -p "$cache"
    (($#)) || set -- rust postgres nginx strace clients browser
    local part
    for part in "$@"; do
        case $part in
            rust) check_rust ;;
            postgres) check_postgres ;;
            nginx) check_nginx ;;
            strace) check_strace ;;
            clients) check_clients ;;
            browser) check_browser ;;
            bench) check_bench ;;
            *) echo "setup: unknown part \`$part\`: choose among rust, postgres, nginx, strace, clients, browser, bench" >&2; exit 2 ;;
        esac
    done
    if ((${#missing[@]})); then
        echo "setup: something is missing on this machine:" >&2
        printf '  - %s\n' "${missing[@]}" >&2
        exit 1
    fi
}

check_rust() {
    # rust-toolchain.toml names the version; rustup fetches it at the first call of cargo.
    command -v cargo >/dev/null || { missing+=("cargo: install rustup, then run this again"); return; }
    command -v cc >/dev/null || install_package build-essential "a C compiler, for the bundled SQLite and AWS-LC"
    command -v openssl >/dev/null || install_package openssl "a certificate, for the tests of TLS"
}

check_postgres() {
    postgres_found || install_package postgresql "the PostgreSQL server binaries, for the tests on the second database"
}

postgres_found() {
    command -v initdb >/dev/null && command -v postgres >/dev/null && return
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

check_nginx() {
    [[ -x /usr/sbin/nginx ]] || command -v nginx >/dev/null \
        || install_package nginx "a reverse proxy, for the tests of what it and Writ read differently"
}

check_strace() {
    command -v strace >/dev/null || install_package strace "a witness of every program that is started, for the test that none is by what comes over the network"
}

check_browser() {
    [[ -x ${CHROMIUM:-/usr/bin/chromium} ]] || install_package chromium "a browser, for the tests of pages; or name one in CHROMIUM"
    if command -v npm >/dev/null && has_node 20; then
        install_with_npm "$cache/e2e" tests/e2e "what drives the browser, and the clients that send people there"
    else
        missing+=("node 20 or newer with npm, for the tests in a browser")
    fi
}

# A reference point that a run goes without where there is no Node.
check_bench() {
    if has_node 20; then install_with_npm "$cache/oidc-provider" tools/loadgen/oidc-provider "oidc-provider, to compare tokens with"; fi
}

check_clients() {
    install_python 1
    install_python 2
    install_packages
    install_node
    install_inspector
}

# One virtual environment per line of the Python SDK: the two cannot live together.
install_python() {
    local venv=$cache/mcp-py$1 pins=$clients/py/requirements-$1.txt
    is_fresh "$venv" "$pins" && return
    if ! command -v python3 >/dev/null || ! python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))'; then
        install_package python3-venv "Python 3.11 or newer with venv, for the Python clients"
        command -v python3 >/dev/null || return 0
    fi
    echo "setup: Python SDK $1.x into $venv"
    rm -rf "$venv"
    if python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$pins"; then
        mark_fresh "$venv" "$pins"
    else
        missing+=("the packages of $pins: pip could not install them; its message is above")
    fi
}

# Both TypeScript lines have names of their own and share one folder, with the conformance suite and its fixtures.
install_packages() {
    if ! command -v npm >/dev/null || ! has_node 20; then
        missing+=("node 20 or newer with npm, for the TypeScript clients")
        return
    fi
    install_with_npm "$cache/mcp-ts" "$clients/ts" "TypeScript SDKs, server-everything and the conformance suite"
}

# The suite needs a newer Node than the clients, and than some Debian has. The packages are those that npm's `node`
# would fetch in an install script: named directly they are pinned like everything else, and no script runs.
install_node() {
    has_node 22 || install_with_npm "$cache/mcp-node" "$clients/node" "Node 24 for the conformance suite"
}

# It brings MCP packages of its own, of other versions. It needs the newer Node, too.
install_inspector() {
    install_with_npm "$cache/mcp-inspector" "$clients/inspector" "the command line of MCP Inspector"
}

has_node() {
    node -e "process.exit(Number(process.versions.node.split('.')[0] < $1))" 2>/dev/null
}

# install_with_npm FOLDER PINS WHAT: PINS holds package.json and package-lock.json.
install_with_npm() {
    local folder=$1 pins=$2/package-lock.json
    is_fresh "$folder" "$pins" && return
    command -v npm >/dev/null || return 0
    echo "setup: $3 into $folder"
    rm -rf "$folder" && mkdir -p "$folder" && cp "$2/package.json" "$pins" "$folder/"
    if (cd "$folder" && npm ci --silent --no-audit --no-fund --ignore-scripts); then
        mark_fresh "$folder" "$pins"
    else
        missing+=("the packages of $pins: npm could not install them; run \`npm ci\` in $folder to see why")
    fi
}

is_fresh() {
    [[ -f $1/.pins ]] && cmp -s "$1/.pins" "$2"
}

mark_fresh() {
    cp "$2" "$1/.pins"
}

# Installs a Debian package when we may, and names it when we may not.
install_package() {
    local package=$1 why=$2
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        echo "setup: installing \`$package\` ($why)"
        if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >/dev/null; then
            return
        fi
    fi
    missing+=("$why: as root, \`apt-get install $package\`")
}

main "$@"
