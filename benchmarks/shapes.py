"""What trees of many files look like: paths that follow from a number, so that nobody has to keep them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload


class _Computed(Sequence[str]):
    """Strings that follow from their number."""

    def __len__(self) -> int:
        raise NotImplementedError

    def at(self, number: int) -> str:
        """Return one of them."""
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return list(map(self.at, range(*index.indices(len(self)))))
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.at(index)


@dataclass(frozen=True, slots=True)
class Shape(_Computed):
    """The relative paths of the files of a tree, sorted; each of its `directories` has as many of them."""

    files: int
    directories: int

    def __post_init__(self) -> None:
        if self.files % self.directories:
            raise ValueError(f"{self.files} files do not fit evenly into {self.directories} directories.")

    def directory(self, number: int) -> str:
        """Return the name of a directory."""
        return f"{number:0{len(str(self.directories - 1))}}"

    def at(self, number: int) -> str:
        """Return the path of a file."""
        directory, place = divmod(number, self.files // self.directories)
        return f"{self.directory(directory)}/{directory + place * self.directories:07}.bin"

    def since(self, number: int) -> Iterator[str]:
        """Yield the paths from one file on, faster than one by one."""
        each = self.files // self.directories
        first, place = divmod(number, each)
        for directory in range(first, self.directories):
            name = self.directory(directory)
            begin = directory + place * self.directories
            for file in range(begin, self.files, self.directories):
                yield f"{name}/{file:07}.bin"
            place = 0

    def __len__(self) -> int:
        return self.files


@dataclass(frozen=True, slots=True)
class Keys(_Computed):
    """The keys of all entries of a tree, sorted: of its root, its directories and its files."""

    shape: Shape

    def at(self, number: int) -> str:
        """Return the key of an entry."""
        if not number:
            return ""
        directory, place = divmod(number - 1, self.shape.files // self.shape.directories + 1)
        if not place:
            return f"{self.shape.directory(directory)}/"
        return self.shape.at(number - directory - 2)

    def __len__(self) -> int:
        return 1 + self.shape.directories + self.shape.files
