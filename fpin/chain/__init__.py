"""The chain as the client sees it: contracts, prices, signatures, and the wallet's own transactions."""
