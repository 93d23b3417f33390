#!/bin/sh
# Compresses a file into FOLDER, with its checksum beside it, and prints the size that it has there as JSON.
# usage: pack.sh FILE FOLDER SHA256
set -eu
file=$1
folder=$2
sum=$3
name=${file##*/}

mkdir -p "$folder"
case $name in
    *.gz) cp "$file" "$folder/.part" ;;
    *)
        gzip --no-name --stdout < "$file" > "$folder/.part"
        unpacked=$(gzip --decompress --stdout < "$folder/.part" | sha256sum)
        [ "${unpacked%% *}" = "$sum" ] || { echo "the compressed file differs from the original" >&2; exit 1; }
        name=$name.gz
        ;;
esac
printf '%s\n' "$sum" > "$folder/sha256"
mv "$folder/.part" "$folder/$name" # in one step: the archive never holds half a file

printf '{"packed_bytes": %s}\n' "$(stat -c %s "$folder/$name")"
