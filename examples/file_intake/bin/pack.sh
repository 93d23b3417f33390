#!/bin/sh
# Compresses a file into archive/JOB_ID, with its sizes and checksum beside it in packed.json, and prints those.
# usage: pack.sh FILE JOB_ID SHA256
set -eu
case $2 in */* | .*) echo "not a name for a folder: $2" >&2; exit 1 ;; esac
file=$1
archived=archive/$2
sum=$3
name=${file##*/}

if [ ! -f "$archived/packed.json" ]; then
    mkdir -p "$archived"
    case $name in
        *.gz) cp "$file" "$archived/.part" ;;
        *)
            gzip --no-name --stdout < "$file" > "$archived/.part"
            unpacked=$(gzip --decompress --stdout < "$archived/.part" | sha256sum)
            [ "${unpacked%% *}" = "$sum" ] || { echo "the compressed file differs from the original" >&2; exit 1; }
            name=$name.gz
            ;;
    esac
    mv "$archived/.part" "$archived/$name" # in one step: the archive never shows half a file
    printf '{"sha256": "%s", "bytes": %s, "packed_bytes": %s}\n' \
        "$sum" "$(stat -c %s "$file")" "$(stat -c %s "$archived/$name")" > "$archived/packed.json.part"
    mv "$archived/packed.json.part" "$archived/packed.json"
fi
rm -rf "taken/$2"
cat "$archived/packed.json"
