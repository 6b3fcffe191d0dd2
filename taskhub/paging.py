"""Pages of a listing that stay right while what is listed comes and goes.

A page's token names the last item of the page before, by the key that orders the listing. (A token that
counts items, as the backend's does, skips as many items as are deleted between two pages.)
"""

import base64
from collections.abc import Callable, Iterable

PAGE_SIZE = 100
"""Items of a page if nobody says how many."""


def page_after(token: str) -> str:
    """The key that the page begins behind; the first page for a token that nobody can have been given."""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        return ""


def page[Item](
    found: Iterable[Item], key: Callable[[Item], str], after: str, size: int
) -> tuple[list[Item], str]:
    """The items of one page, ordered by key, and the token of the next page: ASCII, empty at the end."""
    rest = sorted((item for item in found if key(item) > after), key=key)
    items = rest[:size]
    if len(items) == len(rest):
        return items, ""
    return items, base64.urlsafe_b64encode(key(items[-1]).encode()).decode()
