from tests.test_imports import loaded_by


def test_importing_the_controls_loads_nothing_heavy():
    assert loaded_by("import augforge.algorithms.guidance") == set()
