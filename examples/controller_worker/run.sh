#!/bin/sh
# Starts both machines, gives the worker three jobs, and ends when the controller has heard of all three.
set -eu
cd "$(dirname "$0")"
PATH=$(cd ../.. && pwd)/.venv/bin:$PATH

statemachine config/worker.yaml --machine-name worker &
worker=$!
trap 'kill "$worker" 2>/dev/null || true' EXIT

run=$(date +%H%M%S)
for n in 1 2 3; do
    statemachine-db add-job "job_${run}_$n" --type demo --payload "{\"seconds\": 0.$n}"
done

statemachine config/controller.yaml --machine-name controller --context expected=3

statemachine-db send-event --target worker --type stop
wait "$worker"
statemachine-db list --type demo
