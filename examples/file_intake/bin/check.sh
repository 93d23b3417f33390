#!/bin/sh
# Says whether a file is there and whole: its checksum and size as JSON, or exit code 1 and the reason on stderr.
# A bad file is put aside, with its reason, into rejected/JOB_ID.
# usage: check.sh FILE JOB_ID
set -eu
case $2 in */* | .*) echo "not a name for a folder: $2" >&2; exit 1 ;; esac
file=$1
taken=taken/$2
archived=archive/$2
rejected=rejected/$2

refuse() {
    mkdir -p "$rejected"
    printf '%s\n' "$1" > "$rejected/reason.txt"
    if [ -d "$taken" ]; then
        mv "$taken"/* "$rejected/"
        rm -rf "$taken"
    fi
    printf '%s\n' "$1" >&2
    exit 1
}

short() { printf '%.12s…' "$1"; }

# An earlier attempt may have got further than this.
if [ -f "$archived/packed.json" ]; then
    exec cat "$archived/packed.json"
elif [ -f "$rejected/reason.txt" ] && [ ! -f "$file" ]; then
    refuse "$(cat "$rejected/reason.txt")"
fi

[ -f "$file" ] || refuse "missing: there is no file $file"

sum=$(sha256sum < "$file")
sum=${sum%% *}
if [ -f "$file.sha256" ]; then
    read -r promised _ < "$file.sha256" || true
    [ "$sum" = "$promised" ] || refuse "corrupt: its sha256 is $(short "$sum"), its .sha256 file says $(short "$promised")"
fi
case $file in
    *.gz) gzip --test < "$file" 2> /dev/null || refuse "corrupt: gzip cannot read it to its end" ;;
esac

printf '{"sha256": "%s", "bytes": %s}\n' "$sum" "$(stat -c %s "$file")"
