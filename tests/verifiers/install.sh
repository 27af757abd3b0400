#!/bin/sh
# Other people's verifiers for the tests, where they are missing: Debian's packages.
set -eu
library=/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog
missing=""
command -v go >/dev/null || missing="$missing golang-go"
[ -d "$library" ] || missing="$missing golang-golang-x-mod-dev"
command -v hledger >/dev/null || missing="$missing hledger"
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null; then
    echo "The tests verify the ledger with Go, golang.org/x/mod (in $library) and hledger." >&2
    echo "There is no apt-get here to install Debian's packages with:$missing. Install these, and run this again." >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "The tests verify the ledger with programs that only root can install here. Do that once, and run this again:" >&2
        echo "    sudo apt-get update && sudo apt-get install$missing" >&2
        exit 1
    fi
    as_root="sudo -n"
fi
echo "Installing other people's verifiers for the tests:$missing ..."
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -qq update
# shellcheck disable=SC2086  # one word for each package
$as_root apt-get -qq install -y --no-install-recommends $missing >/dev/null
