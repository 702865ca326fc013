"""Fetch content without trusting who sends it: trustless gateways, verification, files.

Knows spec routing-and-retrieval §5. Refuses to know which places have the content, and whether it is safe to
ask them: sources come in, best first.
"""

from fpin.retrieve.content import Content, Span, split_path
from fpin.retrieve.fetch import Blocks, Fetched, fetch
from fpin.retrieve.gateway import Gateway, NotServed
from fpin.retrieve.verify import Incomplete, Limits

__all__ = [
    "Blocks",
    "Content",
    "Fetched",
    "Gateway",
    "Incomplete",
    "Limits",
    "NotServed",
    "Span",
    "fetch",
    "split_path",
]
