"""Installed packages of others, for tests."""

from pathlib import Path


def install(site: Path, name: str, entry_points: str, version: str = "1.0") -> None:
    """Write the metadata of a distribution with entry points, as pip does."""
    metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(entry_points)
