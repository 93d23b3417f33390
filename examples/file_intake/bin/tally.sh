#!/bin/sh
# Adds one file to ledger.tsv, unless it is there already, and writes report.md again.
# usage: tally.sh JOB_ID RESULT NAME BYTES PACKED_BYTES NOTE
set -eu
tab=$(printf '\t')

touch ledger.tsv
if ! cut -f 2 ledger.tsv | grep -qxF -- "$1"; then
    line=$(date -u '+%F %T')
    for field in "$@"; do
        line=$line$tab$(printf %s "$field" | tr '\t\n|' '   ' | sed 's/ *$//')
    done
    printf '%s\n' "$line" >> ledger.tsv
fi

awk -F '\t' '
    { rows[NR] = $0; files[$3]++ }
    $3 == "archived" { taken += $5; kept += $6 }
    END {
        print "# File intake\n"
        printf "%d %s: %d archived, %d rejected. ", NR, NR == 1 ? "file" : "files", files["archived"], files["rejected"]
        printf "%d bytes came in, %d are kept.\n\n", taken, kept
        print "| when (UTC) | file | result | bytes | kept | sha256, or why not |"
        print "| --- | --- | --- | ---: | ---: | --- |"
        for (n = 1; n <= NR; n++) {
            split(rows[n], field, "\t")
            note = field[3] == "archived" ? substr(field[7], 1, 12) "…" : field[7]
            printf "| %s | %s | %s | %s | %s | %s |\n", field[1], field[4], field[3], field[5], field[6], note
        }
    }
' ledger.tsv > report.md.part
mv report.md.part report.md
