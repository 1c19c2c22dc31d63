"""Reports: records in, pages, tables and figures out."""
