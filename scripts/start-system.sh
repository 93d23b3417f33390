#!/bin/sh
# Starts everything for development: checks the configurations, draws their diagrams, starts the machines of a manifest
# and the page, and stops them in order at Ctrl-C. The logs are in logs/ beside the manifest.
# usage: scripts/start-system.sh [MANIFEST]
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
PATH=$here/.venv/bin:$PATH
has() { command -v "$1" >/dev/null; }

has statemachine-system || {
    echo "statemachine-system is not installed: run 'sh scripts/setup.sh', or activate your environment" >&2
    exit 1
}
manifest=$(realpath "${1:-$here/statemachine-project.yaml}")
cd "$(dirname "$manifest")"

statemachine-system --manifest "$manifest" validate
statemachine-system --manifest "$manifest" configs | while IFS= read -r config; do
    if has statemachine-validate; then statemachine-validate --quiet "$config"; fi
    if has statemachine-diagrams; then statemachine-diagrams "$config" >/dev/null; fi
done
exec statemachine-system --manifest "$manifest" up --ui
