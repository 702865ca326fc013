"""Bytes to meaning and back, without I/O: varints, CIDs, dag-pb, UnixFS, HAMT, DAG-CBOR, CAR."""
