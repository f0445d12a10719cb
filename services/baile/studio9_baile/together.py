"""What several requests ask for at the same moment, done in one go: while one lot is worked on, the next gathers.
Whoever comes alone waits for nobody."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from studio9_common.grouping import Gatherer

MOST = 100
"""Items of one lot."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class Together:
    """A gatherer for each key, for as long as somebody waits for it."""

    def __init__(self) -> None:
        self._gatherers: WeakValueDictionary[Hashable, Gatherer[Any, Any]] = WeakValueDictionary()

    async def do(
        self, key: Hashable, item: Item, work: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]
    ) -> Result:
        """The item's result, from one call of `work` for all items with this key that wait by then. Whose `work` it is
        that is called is not said: for one key they do the same."""
        gatherer = self._gatherers.get(key)
        if gatherer is None:
            gatherer = self._gatherers[key] = Gatherer(work, max_items=MOST)
        result: Result = await gatherer.submit(item)
        return result
