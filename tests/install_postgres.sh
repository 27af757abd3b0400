#!/bin/sh
# PostgreSQL's programs for the tests, where they are missing: Debian's package. Nothing is started, and no cluster is made.
set -eu
root="${POSTGRES_ROOT:-/usr/lib/postgresql}"
for program in "$root"/*/bin/initdb; do
    [ -x "$program" ] && exit 0
done
command -v initdb >/dev/null && exit 0
if ! command -v apt-get >/dev/null; then
    echo "The tests need PostgreSQL's server programs (initdb, pg_ctl). There is no apt-get here to install them with:" >&2
    echo "install PostgreSQL 14 or newer, with initdb on the PATH, and run this again." >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "The tests need PostgreSQL, which only root can install here. Do that once, and run this again:" >&2
        echo "    sudo apt-get update && sudo apt-get install postgresql" >&2
        exit 1
    fi
    as_root="sudo -n"
fi
echo "Installing PostgreSQL for the tests ..."
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -qq update
# The common part first, so that the server's package can be told not to make and start a cluster of its own.
$as_root apt-get -qq install -y --no-install-recommends postgresql-common >/dev/null
conf=/etc/postgresql-common/createcluster.conf
[ -f "$conf" ] && $as_root sed -i 's/^#\? *create_main_cluster *=.*/create_main_cluster = false/' "$conf"
$as_root apt-get -qq install -y --no-install-recommends postgresql >/dev/null
