"""Runs, from specification to record: scheduling, stages, resuming, reproduction, verification."""
