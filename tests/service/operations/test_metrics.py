"""The metrics after events of each kind."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.operations.metrics import Metrics


def values(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name and labels, `name{label}`."""
    return {
        sample.name + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_events_are_counted() -> None:
    metrics = Metrics()
    metrics.created()
    metrics.ended("expired")
    metrics.frame("result")
    metrics.frame("result")
    metrics.frame("dropped")
    metrics.refused("invalid-box")
    metrics.stream(1)
    metrics.stream(1)
    metrics.stream(-1)
    metrics.batch(3, 0.02)
    metrics.stages({"decode": 0.002, "total": 0.5})
    seen = values(metrics)
    assert seen["siamfc_sessions_created_total"] == 1
    assert seen["siamfc_sessions_ended_total{expired}"] == 1
    assert seen["siamfc_frames_total{result}"] == 2
    assert seen["siamfc_frames_total{dropped}"] == 1
    assert seen["siamfc_refusals_total{invalid-box}"] == 1
    assert seen["siamfc_streams"] == 1
    assert seen["siamfc_batch_size_sum"] == 3
    assert seen["siamfc_batch_size_bucket{2.0}"] == 0
    assert seen["siamfc_batch_size_bucket{4.0}"] == 1
    assert seen["siamfc_batch_seconds_sum"] == 0.02
    assert seen["siamfc_frame_stage_seconds_sum{decode}"] == 0.002
    assert seen["siamfc_frame_stage_seconds_count{total}"] == 1


def test_a_timed_block_is_a_stage_unless_it_fails() -> None:
    metrics = Metrics()
    with metrics.timed("send"):
        pass
    with pytest.raises(ZeroDivisionError), metrics.timed("send"):
        raise ZeroDivisionError
    assert values(metrics)["siamfc_frame_stage_seconds_count{send}"] == 1


def test_a_watched_value_is_called_at_every_read() -> None:
    metrics, rooms = Metrics(), [1, 2]
    metrics.watch("siamfc_rooms", "Rooms.", lambda: len(rooms))
    assert values(metrics)["siamfc_rooms"] == 2
    rooms.append(3)
    assert values(metrics)["siamfc_rooms"] == 3


def test_two_servers_in_one_process_do_not_share_metrics() -> None:
    first, second = Metrics(), Metrics()
    first.created()
    assert values(second)["siamfc_sessions_created_total"] == 0


def test_every_name_carries_the_prefix() -> None:
    families = list(text_string_to_metric_families(Metrics().render().decode()))
    assert families
    assert all(family.name.startswith("siamfc_") and family.documentation for family in families)


def test_a_name_cannot_be_watched_twice() -> None:
    metrics = Metrics()
    metrics.watch("siamfc_rooms", "Rooms.", lambda: 0)
    with pytest.raises(ValueError, match="siamfc_rooms"):
        metrics.watch("siamfc_rooms", "Rooms.", lambda: 0)
