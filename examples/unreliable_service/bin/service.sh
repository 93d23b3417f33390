#!/bin/sh
# Stands for a service elsewhere: it wants a key (on standard input), and is busy the first two times it is asked.
set -eu
key=$(cat)
[ "$key" = "open-sesame" ] || { echo "the key $key is not known here" >&2; exit 77; }
asked=$(($(cat asked 2>/dev/null || echo 0) + 1))
echo "$asked" > asked
[ "$asked" -gt 2 ] || { echo "busy, ask me later" >&2; exit 75; }
echo "{\"report\": \"$1\", \"rows\": 42}"
