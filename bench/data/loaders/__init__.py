"""Loaders of dataset files: local folders, downloads, file formats, checksums."""
