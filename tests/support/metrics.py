"""Read the metrics of a monitor as numbers."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

#: name without `statemachine_`, and (label, value) pairs in order
Sample = tuple[str, tuple[tuple[str, str], ...]]


def numbers(text: str) -> dict[Sample, float]:
    """Return every sample in the text of `/metrics`."""
    return {
        (sample.name.removeprefix("statemachine_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def problems(text: str) -> dict[str, float]:
    """Return how often each kind of problem occurred, without those that did not."""
    found = numbers(text).items()
    return {labels[0][1]: value for (name, labels), value in found if name == "troubles_total" and value}


def problem_seconds(text: str) -> dict[str, float]:
    """Return how long each kind of problem lasted, without those that did not."""
    found = numbers(text).items()
    return {labels[0][1]: value for (name, labels), value in found if name == "trouble_seconds_total" and value}
