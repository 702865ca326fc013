"""The indexers of one role, asked one after the other; what each of them said.

Makes one answer of several, and remembers who gave which. Refuses to know what the answers are for.
"""

from __future__ import annotations

from collections.abc import Sequence

from fpin.routing.indexer import NOT_ASKED, AdState, Answer, Indexer, merged


class Panel:
    """*indexers*, each with the last thing that it said. One that refuses the question is not asked again."""

    def __init__(self, indexers: Sequence[Indexer]) -> None:
        self.indexers = tuple(indexers)
        self.last: dict[str, Answer] = {}  # by URL: its answer to the last question about content
        self.questions = dict.fromkeys((indexer.url for indexer in indexers), 0)
        self.conclusive: set[str] = set()  # those that gave an answer which means something

    def __bool__(self) -> bool:
        return bool(self.indexers)

    @property
    def refused(self) -> bool:
        """Tell whether asking on is of no use, because all of them refuse the question."""
        return bool(self.indexers) and all(
            self.last.get(indexer.url, NOT_ASKED).refused for indexer in self.indexers
        )

    def find(self, cid: bytes) -> Answer:
        """Ask all who has *cid*; return `merged` of what they say."""
        for indexer in self.indexers:
            if self.last.get(indexer.url, NOT_ASKED).refused:
                continue
            answer = self.last[indexer.url] = indexer.find(cid)
            # "Ask me later" is no answer, so it does not count as a question.
            self.questions[indexer.url] += answer.status not in (429, 503)
            if answer.state != "inconclusive":
                self.conclusive.add(indexer.url)
        return merged([self.last[indexer.url] for indexer in self.indexers])

    def ad_states(self, ad_cid: bytes) -> dict[str, AdState]:
        """Ask all what became of an advertisement; by URL."""
        states = {}
        for indexer in self.indexers:
            states[indexer.url] = state = indexer.ad_state(ad_cid)
            self.questions[indexer.url] += 1
            if state != "inconclusive":
                self.conclusive.add(indexer.url)
        return states
