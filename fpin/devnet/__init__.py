"""The devnet: a chain, storage providers and an indexer that speak the same bytes as the real ones.

Knows nothing of the client's rooms, so that neither can hide the other's mistakes. `attach` is the way in for
programs, `world` the whole of it in one process.
"""
