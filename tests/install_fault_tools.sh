#!/bin/sh
# strace and a C compiler for the fault tests, where they are missing: Debian's packages. And whether strace may trace here,
# which a container can forbid.
set -eu
missing=""
command -v strace >/dev/null || missing="$missing strace"
command -v gcc >/dev/null || missing="$missing gcc libc6-dev"
if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null; then
        echo "The tests need$missing. There is no apt-get here to install that with: install it, and run this again." >&2
        exit 1
    fi
    as_root=""
    if [ "$(id -u)" != 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            echo "The tests need$missing, which only root can install here. Do that once, and run this again:" >&2
            echo "    sudo apt-get update && sudo apt-get install$missing" >&2
            exit 1
        fi
        as_root="sudo -n"
    fi
    echo "Installing$missing for the tests ..."
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get -qq update
    # shellcheck disable=SC2086  # several packages
    $as_root apt-get -qq install -y --no-install-recommends $missing >/dev/null
fi
if ! strace -qq -o /dev/null true; then
    echo "strace may not trace here: the tests need a machine or a container with the capability SYS_PTRACE." >&2
    exit 1
fi
