"""The report as a folder of HTML pages that works offline."""
