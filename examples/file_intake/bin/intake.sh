#!/bin/sh
# Takes every finished file out of inbox/ and adds a job for it. May be broken off anywhere and run again.
# A file's checksum may lie beside it, as made by `sha256sum NAME > NAME.sha256`; put it there before the file.
set -eu
mkdir -p inbox taken queued

# First into a folder of its own, whose name becomes the job's id.
for file in inbox/*; do
    [ -f "$file" ] || continue
    case $file in *.sha256 | *.part) continue ;; esac
    [ -z "$(find "$file" -newermt '1 second ago')" ] || continue # somebody may still be writing to it
    id=$(date -u +%y%m%d-%H%M%S%3N)-$(printf %s "${file##*/}" | tr -c 'A-Za-z0-9._-' _)
    mkdir "taken/$id"
    mv "$file" "taken/$id/"
done

# Then a job for each folder that has none yet. A worker may be done with it, and have removed it, at any moment.
for folder in taken/*/; do
    id=$(basename "$folder")
    [ ! -e "queued/$id" ] || continue
    for file in "$folder"*; do
        case $file in *.sha256) continue ;; esac
        [ -f "$file" ] || continue
        checksum=inbox/${file##*/}.sha256
        [ ! -f "$checksum" ] || mv "$checksum" "$folder"
        statemachine-db add-job "$id" --type intake --input-file "$file" || statemachine-db details "$id"
        touch "queued/$id"
    done
done

# And the marks of folders that are gone are not needed any more.
for mark in queued/*; do
    [ -d "taken/${mark#queued/}" ] || rm -f "$mark"
done
