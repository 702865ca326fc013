"""The one comment on a pull request: made the first time, changed ever after.

It is found again by a marker, which names what was stored, so that two uses of the action on one pull
request keep a comment each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fpin.errors import FpinError, Unavailable
from fpin.http import Http, Reply
from fpin.values import dataclass

PER_PAGE = 100
PAGES = 30  # of comments, before a pull request counts as one that has none of ours


class CommentRefused(FpinError):
    """GitHub did not take the comment: most often the token may not write to pull requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comments:
    """The comments of one pull request."""

    http: Http
    api: str  # such as https://api.github.com
    repository: str
    pull_request: int
    token: str

    def keep(self, marker: str, body: str) -> str:
        """See that the comment with *marker* says *body*; return its address."""
        text = {"body": f"{marker}\n{body}"}
        found = self._find(marker)
        if found is None:
            return _address(self._ask("POST", f"issues/{self.pull_request}/comments", text, 201))
        return _address(self._ask("PATCH", f"issues/comments/{found}", text, 200))

    def _find(self, marker: str) -> int | None:
        for page in range(1, PAGES + 1):
            path = f"issues/{self.pull_request}/comments?per_page={PER_PAGE}&page={page}"
            comments = self._ask("GET", path, None, 200)
            for comment in comments:
                # Only the first line counts: somebody may quote ours.
                if str(comment.get("body", "")).partition("\n")[0].strip() == marker:
                    number: int = comment["id"]
                    return number
            if len(comments) < PER_PAGE:
                return None
        return None

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None, expected: int) -> Any:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        url = f"{self.api}/repos/{self.repository}/{path}"
        reply = self.http.request(
            method, url, headers=headers, json=body, peer="the GitHub API", error=Unavailable
        )
        if reply.status != expected:
            raise CommentRefused(
                f"the GitHub API answered HTTP {reply.status}: {_reason(reply)}",
                hint="the job needs the permission pull-requests: write",
            )
        return reply.json()


def marker_for(path: str) -> str:
    """Return the marker of the comment about *path*."""
    safe = path.replace("--", "- -").replace(">", "")
    return f"<!-- fpin: {safe} -->"


def _address(comment: Mapping[str, Any]) -> str:
    return str(comment.get("html_url", ""))


def _reason(reply: Reply) -> str:
    try:
        return str(reply.json()["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return "no reason given"
