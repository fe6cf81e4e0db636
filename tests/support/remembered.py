"""What dlt works out anew each time that it looks for a setting, worked out once for all tests of a process.

Most of the time of a small load goes there: into what a type hint means, and into what a destination is capable of, which
dlt asks eight times a load. What is remembered depends on its arguments alone, and for a destination on all that a
setting can come from.
"""

import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from dlt.common import typing as hints
from dlt.common import validation
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import provider
from dlt.common.configuration.specs import base_configuration
from dlt.common.configuration.specs.base_configuration import BaseConfiguration
from dlt.common.configuration.specs.config_section_context import ConfigSectionContext
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.destination import Destination

OF_A_HINT: tuple[Callable[..., Any], ...] = (
    base_configuration.extract_inner_hint,
    base_configuration.is_base_configuration_inner_hint,
    base_configuration.is_context_inner_hint,
    base_configuration.is_hint_not_resolvable,
    base_configuration.is_secret_hint,
    base_configuration.is_valid_configspec_field,
    base_configuration.is_valid_hint,
    hints.get_all_types_of_class_in_union,
    hints.is_literal_type,
    hints.is_optional_type,
    hints.is_subclass,
    hints.is_typeddict,
    hints.is_union_type,
    provider.get_key_name,
)


@contextmanager
def worked_out_once() -> Iterator[None]:
    """Within: dlt remembers. Modules that import one of the functions later have it as it was."""
    with pytest.MonkeyPatch.context() as patch:
        for function in OF_A_HINT:
            remembered = _remembered(function)
            for module in [module for name, module in sys.modules.items() if name.startswith("dlt.")]:
                if vars(module).get(function.__name__) is function:
                    patch.setattr(module, function.__name__, remembered)
        patch.setattr(validation, "get_type_hints", _hints_of_a_class(validation.get_type_hints))
        patch.setattr(BaseConfiguration, "get_resolvable_fields", classmethod(_fields_of_a_class()))
        patch.setattr(BaseConfiguration, "__iter__", lambda self: iter(_names(type(self))))
        patch.setattr(BaseConfiguration, "__len__", lambda self: len(_names(type(self))))
        patch.setattr(Destination, "capabilities", _capabilities(Destination.capabilities))
        yield


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    known = functools.cache(function)

    @functools.wraps(function)
    def remembered(*args: Any, **kwargs: Any) -> Any:
        try:
            return known(*args, **kwargs)
        except TypeError:  # a hint that has no hash
            return function(*args, **kwargs)

    return remembered


def _hints_of_a_class(get_type_hints: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[type, dict[str, Any]] = {}

    def remembered(spec: type, globalns: dict[str, Any] | None = None) -> dict[str, Any]:
        # dlt gives the module's names, which are those of the class.
        if spec not in known:
            known[spec] = get_type_hints(spec, globalns=globalns)
        return known[spec]

    return remembered


def _fields_of_a_class() -> Callable[[type[BaseConfiguration]], dict[str, type]]:
    work_out: Any = BaseConfiguration.__dict__["get_resolvable_fields"].__func__
    known = functools.cache(work_out)

    def remembered(cls: type[BaseConfiguration]) -> dict[str, type]:
        return dict(known(cls))

    return remembered


@functools.cache
def _names(spec: type[BaseConfiguration]) -> tuple[str, ...]:
    fields = spec.__dataclass_fields__.values()
    return tuple(field.name for field in fields if base_configuration.is_valid_configspec_field(field))


def _capabilities(work_out: Callable[..., Any]) -> Callable[..., Any]:
    known: WeakKeyDictionary[Any, list[tuple[Any, Any]]] = WeakKeyDictionary()

    @functools.wraps(work_out)
    def remembered(self: Any, config: Any = None, naming: Any = None) -> Any:
        if config is not None:
            return work_out(self, config, naming)
        context = Container()
        asked = (
            dict(self.config_params),
            dict(self.caps_params),
            naming and (type(naming), naming.max_length),
            dict(os.environ),
            tuple(context[PluggableRunContext].providers.providers),
            context[ConfigSectionContext].pipeline_name,
        )
        of_this = known.setdefault(self, [])
        for earlier, capabilities in of_this:
            if earlier == asked:
                return _copied(capabilities)
        capabilities = work_out(self, config, naming)
        of_this.append((asked, _copied(capabilities)))
        return capabilities

    return remembered


def _copied(capabilities: Any) -> Any:
    """As good as worked out anew: whoever changes it changes his own."""
    copy = capabilities.copy()
    for field in dataclasses.fields(copy):
        if isinstance(value := getattr(copy, field.name), list):
            setattr(copy, field.name, list(value))
    return copy
