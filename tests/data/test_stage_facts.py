"""What stages say of their own work: written, read back, and refused where it is damaged."""

import pytest

from augforge.data.stage_facts import read_facts, said, write_facts
from augforge.errors import StoreError


def test_what_is_written_is_read_back_and_no_facts_are_no_file(tmp_path):
    facts = {"2-filter-x": {"temperature": 1.25, "views": 5, "by": "the recipe"}}
    write_facts(tmp_path, facts)
    assert read_facts(tmp_path) == facts
    write_facts(tmp_path, {})
    assert read_facts(tmp_path) == {} and not (tmp_path / "facts.json").exists()


@pytest.mark.parametrize("content", ["[1]", "{", '{"a": 3}'])
def test_damaged_facts_are_refused(tmp_path, content):
    (tmp_path / "facts.json").write_text(content)
    with pytest.raises(StoreError, match=r"facts\.json is damaged"):
        read_facts(tmp_path)


def test_numbers_are_said_with_six_digits():
    assert said({"temperature": 1.23456789, "views": 5, "by": "x"}) == "temperature 1.23457, views 5, by x"
