"""Get a dataset: where its bytes come from, checksums, splits; the development part and the sealed test part apart."""
