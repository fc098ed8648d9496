"""syncd keeps a local, queryable copy of who gave which application access to what."""

__version__ = "0.1.0"
