"""Keys, which give the entries of a tree an order, and ranges of them.

The key of an entry is its path relative to the root, a directory's with a slash at its end; the root's is "".
Keys compare as strings. So a walk that sorts the names of each directory by key, and goes into a directory
before it goes on, meets all keys in ascending order.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """The keys from `begin` to before `end`; None is no end."""

    begin: str = ""
    end: str | None = None

    @classmethod
    def below(cls, key: str) -> "Range":
        """Return the keys of a directory and of everything in it."""
        return cls(key, f"{key[:-1]}0") if key else cls()  # '0' is what follows '/'

    def __contains__(self, key: str) -> bool:
        return self.begin <= key and (self.end is None or key < self.end)

    def seen_from(self, key: str) -> "Range":
        """Return the names of the directory `key` that are in this range, or on the way into it.

        A directory's name has a slash at its end. `key` must be in this range or on the way into it.
        """
        begin = self.begin.removeprefix(key) if self.begin.startswith(key) else ""
        end = self.end.removeprefix(key) if self.end is not None and self.end.startswith(key) else None
        return Range(begin[: begin.find("/") + 1] or begin, end)
