"""What is on disk: specifications, records, predictions, ledgers."""
