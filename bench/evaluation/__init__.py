"""Judge a winner: predict the sealed test part, compute metrics, compare models."""
