"""Worker processes, on this machine or on a Dask cluster, and the functions that run inside them."""
