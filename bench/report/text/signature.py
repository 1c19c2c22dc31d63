"""The signature of a run: everything needed to repeat it, on one line."""

import shlex

from bench.records.record import RunRecord
from bench.records.spec import SearchSpec


def signature_text(record: RunRecord) -> str:
    """The signature as name=value pairs, quoted as for a shell."""
    spec, data, machine = record.spec, record.dataset, record.environment
    options = (
        {
            "tuner": spec.tuner,
            "trials": spec.budget.trials,
            "epochs": spec.budget.epochs,
            "time-limit": spec.time_limit or "none",
            "seed": spec.seed,
            "split-number": spec.split,
            "search-precision": spec.precision,
            **{
                name.replace("_", "-"): value
                for name in ("definition", "objective", "class_weights", "pixel_range", "max_pending")
                if (value := getattr(spec, name)) is not None
            },
            **({"max-multiply-adds": spec.budget.multiply_adds} if spec.budget.multiply_adds else {}),
        }
        if isinstance(spec, SearchSpec)
        else {"recipe": record.reference.recipe if record.reference is not None else "none", "seed": spec.seed}
    )
    fields = {
        "dataset": data.name,
        "checksum": data.checksum[:12],
        "split": f"{data.n_train}/{data.n_validation}/{data.n_test}",
        "protocol": spec.protocol,
        "model": spec.model,
        "code": spec.source,
        **options,
        "refit-seeds": spec.refit_seeds,
        "refit-precision": record.precision_refit,
        "threads": machine.threads,
        "onednn": machine.onednn,
        "cpu": machine.cpu,
        "python": machine.python,
        "tensorflow": machine.tensorflow,
        "keras": machine.keras,
        "keras-tuner": machine.keras_tuner,
        "numpy": machine.numpy,
        "scikit-learn": machine.scikit_learn,
        "commit": machine.git_commit or "unknown",
    }
    return " ".join(f"{name}={shlex.quote(str(value))}" for name, value in fields.items())
