"""How pages call the timed operations, whose names in records are such as `predict[cnn-call-1]`."""

PREDICT_KINDS = {"call": "model(images)", "predict": "model.predict", "exported": "exported function"}
SHORT_NAMES = {"tutorial-dense-128": "dense", "tutorial-cnn": "cnn"}  # by model; the names in operations and facts
AMONG_OTHERS = "among others"  # the variant of `import` with other packages installed


def kind_of(operation: str) -> str:
    """`save` of `save[cnn]`, and `model(images)` of `predict[cnn-call-1]`."""
    kind, _, variant = operation.rstrip("]").partition("[")
    return next((PREDICT_KINDS[part] for part in variant.split("-") if part in PREDICT_KINDS), kind)


def variant_of(operation: str) -> str:
    """`cnn` of `save[cnn]`, `cnn, batch of 1` of `predict[cnn-call-1]`; empty if there is only one."""
    variant = operation.partition("[")[2].rstrip("]")
    if variant == AMONG_OTHERS:
        return "with other packages"
    parts = [part for part in variant.split("-") if part not in PREDICT_KINDS]
    return ", ".join(f"batch of {part}" if part.isdigit() else part for part in parts)


def label(operation: str) -> str:
    """`save (cnn)` of `save[cnn]`, `model(images) (cnn, batch of 1)` of `predict[cnn-call-1]`."""
    variant = variant_of(operation)
    return f"{kind_of(operation)} ({variant})" if variant else kind_of(operation)
