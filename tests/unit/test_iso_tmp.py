import pytest
from tests.unit.test_columns import *
from tests.unit.conftest import *
def test_iso(dlt_home):
    for name, values in VALUES.items():
        for plain in (False, True):
            for rev in (False, True):
                try: load(dlt_home, {"x": [[one_by_one(values)], *( [[one_by_one(values[::-1])]] if rev else [])]}, plain, "json", {})
                except Exception as e: 
                    print("BAD", plain, rev, name, str(innermost(e))[:200])
