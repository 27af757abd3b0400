#!/bin/sh
# strace for the tests, where it is missing: Debian's package. And whether it may trace here, which a container can forbid.
set -eu
if ! command -v strace >/dev/null; then
    if ! command -v apt-get >/dev/null; then
        echo "The tests need strace. There is no apt-get here to install it with: install it, and run this again." >&2
        exit 1
    fi
    as_root=""
    if [ "$(id -u)" != 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            echo "The tests need strace, which only root can install here. Do that once, and run this again:" >&2
            echo "    sudo apt-get update && sudo apt-get install strace" >&2
            exit 1
        fi
        as_root="sudo -n"
    fi
    echo "Installing strace for the tests ..."
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get -qq update
    $as_root apt-get -qq install -y --no-install-recommends strace >/dev/null
fi
if ! strace -qq -o /dev/null true; then
    echo "strace may not trace here: the tests need a machine or a container with the capability SYS_PTRACE." >&2
    exit 1
fi
