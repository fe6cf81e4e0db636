"""dlt's own row normalizer, but a value changes its type only where nothing of it is lost.

In: values whose column already has a type. Out: the value in that type; or ValueError, upon which dlt keeps it as it
is, in a column of its own (`<name>__v_<type>`). dlt as it comes makes TRUE of 7 in a column of truth values, 12 of
"0012", a date of 5, and rounds large integers. dlt finds this module by the name in the schema (`source`).
"""

from datetime import date
from typing import Any

from dlt.common.data_types import TDataType
from dlt.common.normalizers.json.relational import DataItemNormalizer as RelationalNormalizer
from dlt.common.schema.detections import is_iso_date, is_iso_timestamp

SMALLEST_BIGINT, LARGEST_BIGINT = -(2**63), 2**63 - 1


class DataItemNormalizer(RelationalNormalizer):
    """The relational normalizer of dlt with one rule more; the class has to have this name."""

    def coerce_type(self, to_type: TDataType, from_type: TDataType, value: Any) -> Any:
        """`value` as `to_type`. Raises ValueError where that would change it."""
        coerced = super().coerce_type(to_type, from_type, value)
        if to_type != from_type and not _is_kept(to_type, value, coerced):
            raise ValueError(value)
        return coerced


def _is_kept(to_type: TDataType, value: Any, coerced: Any) -> bool:
    match to_type:
        case "text" | "json" | "binary":
            return to_type == "text" or not isinstance(value, str)
        case "bigint":
            return _reads_the_same(value, coerced) and SMALLEST_BIGINT <= coerced <= LARGEST_BIGINT
        case "double" | "decimal" | "wei":
            return _reads_the_same(value, coerced)
        case "timestamp":
            return isinstance(value, date) or bool(
                is_iso_timestamp(type(value), value) or is_iso_date(type(value), value)
            )
        case "date":
            return bool(is_iso_date(type(value), value))
        case "time":
            return isinstance(value, str)
    # Truth values: no number and no text is one.
    return False


def _reads_the_same(value: Any, number: Any) -> bool:
    # "0012" and "1e3" are texts that look like numbers: written back they would be others.
    return str(number) == value if isinstance(value, str) else bool(number == value)
