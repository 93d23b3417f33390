#!/bin/sh
# Starts one machine: the simple worker unless another configuration is named.
# usage: scripts/start-worker.sh [CONFIG [MACHINE_NAME]]
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
config=${1:-$here/examples/simple_worker/config/worker.yaml}
PATH=$here/.venv/bin:$PATH
exec statemachine "$config" ${2:+--machine-name "$2"}
