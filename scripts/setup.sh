#!/bin/sh
# Makes the virtual environment DIR (default .venv) and installs the package in it, editable, with its tools.
# usage: scripts/setup.sh [DIR]
set -eu
venv=${1:-.venv}

say() { printf 'setup: %s\n' "$*" >&2; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        if [ -n "$candidate" ] && is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    say "needs Python 3.11 or newer, as python3.13, python3.12, python3.11 or python3 on PATH, or PYTHON=/path/to/python"
    return 1
}

# Debian and its kin ship some of this apart from the base system; elsewhere the message has to do.
install_package() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing the Debian package $1"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1" >/dev/null
    else
        say "please install $1 and try again"
        return 1
    fi
}

need() { command -v "$1" >/dev/null || install_package "$2"; }

want() { command -v "$1" >/dev/null || install_package "$2" || say "going on without $2"; }

need bash bash
need gzip gzip
need find findutils
need sha256sum coreutils
need chromium chromium || say "without Chromium the tests of the page are skipped"
want cron cron # one test has a real cron daemon fire a line; without it, that test says so
want faketime faketime # tests set the clock of one process; without it, they say so
want node nodejs # Mermaid and Graphviz read the diagrams in tests
want npm npm

if ! [ -x "$venv/bin/python" ] || ! is_new_enough "$venv/bin/python"; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_package python3-venv
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi

say "installing statemachine-engine and its tools into $venv (a minute or two the first time)"
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --editable '.[dev]'
