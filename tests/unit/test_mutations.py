"""The faults of tests/mutations can be put into the code as it is; whether the tests find them takes minutes, and a command."""

import pytest

from tests.mutations.run import PROJECT, Fault, faults


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.name)
def test_a_fault_changes_one_place_and_has_tests(fault: Fault) -> None:
    assert (PROJECT / fault.file).read_text().count(fault.old) == 1
    assert fault.old != fault.new
    assert fault.tests
    assert not [test for test in fault.tests if not (PROJECT / test.partition("::")[0]).is_file()]


def test_a_fault_has_a_name_of_its_own() -> None:
    names = [fault.name for fault in faults()]
    assert len(set(names)) == len(names)
