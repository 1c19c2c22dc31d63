"""Files on disk: specifications, records, predictions, ledgers, and logs."""
