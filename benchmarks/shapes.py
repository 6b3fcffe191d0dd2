"""What trees of many files look like: names that follow from a number, so that no one has to keep them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload


@dataclass(frozen=True, slots=True)
class Shape(Sequence[str]):
    """The relative paths of the files of a tree, sorted, without holding them.

    `files` files are in so many `directories`, none of which is in another one.
    """

    files: int
    directories: int

    def directory(self, number: int) -> str:
        """Return the name of a directory."""
        return f"{number:0{max(2, len(str(self.directories - 1)))}}"

    def __len__(self) -> int:
        return self.files

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self.files))]
        if not 0 <= index < self.files:
            raise IndexError(index)
        each, more = divmod(self.files, self.directories)
        # The first `more` directories have one file more than the others.
        if index < more * (each + 1):
            directory, place = divmod(index, each + 1)
        else:
            directory, place = divmod(index - more, each)
        return f"{self.directory(directory)}/{directory + place * self.directories:07}.bin"
