"""What a type hint means to dlt is worked out once: it does so each time that it looks for a setting, a third of the time of a small load.

In: a patch, which says how long that holds. Out: dlt's modules ask a cache first.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

import pytest
from dlt.common.configuration.specs import base_configuration


def remember_hints(patch: pytest.MonkeyPatch) -> None:
    """In all modules of dlt that are there."""
    for function in (base_configuration.is_secret_hint, base_configuration.extract_inner_hint):
        remembered = _remembered(function)
        for module in [module for name, module in sys.modules.items() if name.startswith("dlt.")]:
            if vars(module).get(function.__name__) is function:
                patch.setattr(module, function.__name__, remembered)


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    known = functools.cache(function)

    @functools.wraps(function)
    def remembered(*args: Any, **kwargs: Any) -> Any:
        try:
            return known(*args, **kwargs)
        except TypeError:  # a hint that has no hash
            return function(*args, **kwargs)

    return remembered
