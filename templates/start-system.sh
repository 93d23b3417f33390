#!/bin/bash
# Starts the machines of a project: checks them, draws their diagrams, runs them with the page, stops them at Ctrl-C.
#
#   ./start-system.sh            in this terminal
#   ./start-system.sh --detach   in the background; ./start-system.sh status | logs -f | down
#
# Copy it into your project and edit the two lists. A project that outgrows them (dependencies, restart policies, several
# processes, hooks) gets a statemachine-project.yaml of its own, which this script then uses; see README.md.
set -euo pipefail
cd "$(dirname "$0")"

# Files to check and to draw.
CONFIG_FILES=(
    config/worker.yaml
)

# Machines to run: "config:name", in the order of their start.
MACHINE_CONFIGS=(
    "config/worker.yaml:my_worker"
)

# Ports of the page, and of its WebSocket for older clients.
UI_PORT=3001
WEBSOCKET_PORT=3002

# ---------------------------------------------------------------------------------------------------------------------

has() { command -v "$1" >/dev/null; }

for activate in venv/bin/activate .venv/bin/activate; do
    # shellcheck disable=SC1090
    if ! has statemachine-system && [ -f "$activate" ]; then . "$activate"; fi
done
has statemachine-system || { echo "statemachine-system is not installed: pip install statemachine-engine" >&2; exit 1; }

manifest=statemachine-project.yaml
if [ ! -f "$manifest" ]; then
    manifest=.start-system.yaml
    {
        echo "# made by start-system.sh from its lists"
        echo "ports: {ui: $UI_PORT, websocket: $WEBSOCKET_PORT}"
        echo "machines:"
        for machine in "${MACHINE_CONFIGS[@]}"; do
            printf "  - {config: '%s', machine_name: '%s'}\n" "${machine%:*}" "${machine##*:}"
        done
    } >"$manifest"
fi

case "${1:-}" in
    "" | --detach | -d) ;;
    *) exec statemachine-system --manifest "$manifest" "$@" ;;
esac

for config in "${CONFIG_FILES[@]}"; do
    if has statemachine-validate; then statemachine-validate --quiet "$config"; fi
    if has statemachine-diagrams; then statemachine-diagrams "$config" >/dev/null; fi
done
exec statemachine-system --manifest "$manifest" up --ui "$@"
