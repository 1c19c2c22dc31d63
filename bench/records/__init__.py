"""Everything on disk: run specifications, ledgers, predictions, records, logs, and their migrations."""
