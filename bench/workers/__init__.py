"""Worker processes, local or on a Dask cluster, and the functions that run in them."""
