"""Upgrades from older schemas: pure functions on the JSON of specs, ledger lines, records and logs.

They are applied whenever an older file is read, and keep unknown fields, which decoding ignores. `bench runs migrate`
saves the result.
"""

from collections.abc import Mapping
from typing import Any

Fields = dict[str, Any]

_RENAMED_MODELS = {
    "floor-majority": "baseline-majority",
    "floor-logistic-regression": "baseline-logistic-regression",
    "floor-random-forest": "baseline-random-forest",
}


def upgrade_spec(fields: Mapping[str, Any]) -> Fields:
    """Upgrade a spec of any schema to schema 6."""
    if "kind" in fields:
        return _upgrade_pending(fields)
    shared = {
        "dataset": fields["dataset"],
        "source": fields["family_source"],
        "seed": fields["seed"],
        "refit_seeds": fields["seeds"],
        "protocol": fields["protocol"],
    }
    if fields["tuner"] == "fixed":
        name = fields["family"]
        epochs = 0 if name in _RENAMED_MODELS else fields["budget"]["epochs"]
        return {"kind": "reference", **shared, "model": _RENAMED_MODELS.get(name, name), "epochs": epochs}
    return {
        "kind": "search",
        **shared,
        "family": fields["family"],
        "tuner": fields["tuner"],
        "budget": fields["budget"],
        "precision": fields["precision"],
        "max_pending": _max_pending(fields),
        "time_limit": fields.get("seconds"),
    }


def _upgrade_pending(fields: Mapping[str, Any]) -> Fields:
    """Upgrade a spec of schema 4 or later to schema 6."""
    if "lookahead" not in fields:
        return dict(fields)
    kept = {name: value for name, value in fields.items() if name != "lookahead"}
    return {**kept, "max_pending": _max_pending(fields)}


def _max_pending(fields: Mapping[str, Any]) -> int | None:
    """The maximum number of pending trials of a spec before schema 5, which limited every tuner, 4 by default."""
    return None if fields["tuner"] in ("random", "grid") else int(fields.get("lookahead", 4))


def upgrade_trial(fields: Mapping[str, Any]) -> Fields:
    """Upgrade a trial of schema 1 to 3 to schema 4."""
    return {**fields, "values": _hyperparameters(fields["values"]), "duplicate_of": fields["repeats"]}


def upgrade_event(fields: Mapping[str, Any]) -> Fields:
    """Upgrade a ledger line of any schema to schema 4."""
    match fields["event"]:
        case "session":
            return {**fields, "event": "session_started"}
        case "asked":
            values = fields["values"]
            return {
                "event": "trial_proposed",
                "time": fields["time"],
                "trial_id": fields["trial_id"],
                "values": _hyperparameters(values),
                "initial_epoch": values.get("tuner/initial_epoch", 0),
                # 0 for full-length trials of tuners that do not promote: only the spec has their number of epochs.
                "epochs": values.get("tuner/epochs", 0),
                "parent": values.get("tuner/trial_id"),
            }
        case "told":
            return {"event": "trial_ended", "time": fields["time"], "trial": upgrade_trial(fields["trial"])}
        case "refit":
            return {**fields, "event": "refit_ended"}
        case _:
            return dict(fields)


def upgrade_record(fields: Mapping[str, Any]) -> Fields:
    """Upgrade a record of any schema to schema 6, keeping its digests and commit."""
    if fields["schema"] >= 4:
        return {**fields, "schema": max(6, fields["schema"]), "spec": upgrade_spec(fields["spec"])}
    if (reference := fields.get("reference")) is None:
        origin = {
            "kind": "search",
            "space": fields["space"],
            "trials": [upgrade_trial(trial) for trial in fields["trials"]],
            "winner": fields["winner"],
            "search_seconds": fields["search_seconds"],
            "overruled_proposals": fields["differing_proposals"],
        }
    else:
        published = reference["published"]
        origin = {
            "kind": "reference",
            "group": "classifier" if reference["kind"] == "floor" else reference["kind"],
            "recipe": _percent(reference["recipe"]),
            "deterministic": reference["deterministic"],
            "published": published and {**published, "text": _percent(published["text"])},
        }
    changed = {"schema": 6, "run_id": upgrade_run_id(fields["run_id"]), "spec": upgrade_spec(fields["spec"])}
    return {**fields, **changed, "origin": origin}


def upgrade_evaluation(fields: Mapping[str, Any]) -> Fields:
    """Upgrade a line of the log of test-set evaluations of any schema to schema 4."""
    return {**fields, "run": upgrade_run_id(fields["run"])}


def upgrade_run_id(run_id: str) -> str:
    """The run id of a reference model, without "fixed" and with the model's current name; the digest is kept."""
    model, separator, digest = run_id.partition("-fixed-")
    return f"{_RENAMED_MODELS.get(model, model)}-{digest}" if separator else run_id


def _hyperparameters(values: Mapping[str, Any]) -> Fields:
    return {name: value for name, value in values.items() if not name.startswith("tuner/")}


def _percent(text: str) -> str:
    return text.replace(" %", "%")
