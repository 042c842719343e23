"""Keeps: the manifest's reader, the ledger, videos and tables on any fsspec storage."""
