"""The primary keys that a read has met, in little memory: a million whole numbers take one MB where they lie close.

In: lists of keys of one type, a page at a time. Out: which were there before. Keys that are no whole numbers of 64
bits without a sign (texts, say) lie in Python's own set, with some hundred bytes each.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import Any

from pyroaring import BitMap64


class KeySet(Collection[Hashable]):
    """A set of keys that grows by whole pages."""

    def __init__(self, keys: Iterable[Any] = ()) -> None:
        self._keys: Any = BitMap64()
        self.update(list(keys))

    def update(self, keys: list[Any]) -> None:
        """Add `keys`."""
        # First: it may change the kind of `self._keys`.
        keys = self._of_same_kind(keys)
        self._keys.update(keys)

    def isdisjoint(self, keys: list[Any]) -> bool:
        """None of `keys` is here."""
        keys = self._of_same_kind(keys)
        return bool(self._keys.isdisjoint(keys))

    def issuperset(self, keys: list[Any]) -> bool:
        """All of `keys` are here."""
        keys = self._of_same_kind(keys)
        return bool(self._keys.issuperset(keys))

    def __contains__(self, key: object) -> bool:
        if isinstance(self._keys, BitMap64):
            return type(key) is int and 0 <= key < 2**64 and key in self._keys
        return key in self._keys

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def _of_same_kind(self, keys: list[Any]) -> Any:
        if not isinstance(self._keys, BitMap64):
            return keys
        # A bitmap would take 1.5 as 1.
        if set(map(type, keys)) <= {int}:
            try:
                return BitMap64(keys)
            except OverflowError:
                pass
        self._keys = set(self._keys)
        return keys
