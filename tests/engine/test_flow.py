import threading
import time

import pytest

from augforge.engine.flow import flow


def test_everything_arrives_in_order():
    saved = []
    flow(range(50), lambda x: x, lambda x: x * 2, saved.append)
    assert saved == [x * 2 for x in range(50)]


def test_work_stays_in_the_calling_thread_and_loading_does_not():
    threads = {"load": set(), "work": set()}
    here = threading.get_ident()

    def note(kind):
        return lambda x: threads[kind].add(threading.get_ident()) or x

    flow(range(10), note("load"), note("work"), lambda x: None)
    assert threads["work"] == {here} and here not in threads["load"]


def test_loading_and_saving_overlap_with_work():
    def nap(x):
        time.sleep(0.02)
        return x

    started = time.perf_counter()
    flow(range(20), nap, nap, nap)
    assert time.perf_counter() - started < 0.8 * 3 * 20 * 0.02


def test_loading_never_runs_far_ahead():
    loaded, worst = [], []
    done = []

    def work(x):
        worst.append(len(loaded) - len(done))
        done.append(x)
        return x

    flow(range(40), lambda x: loaded.append(x) or x, work, lambda x: None, ahead=3)
    assert max(worst) <= 5


@pytest.mark.parametrize("where", ["load", "work", "save"])
def test_the_first_exception_is_raised_and_earlier_results_are_saved(where):
    saved = []

    def fail(kind):
        def step(x):
            if kind == where and x == 10:
                raise RuntimeError("here")
            if kind == "save":
                saved.append(x)
            return x

        return step

    with pytest.raises(RuntimeError, match="here"):
        flow(range(20), fail("load"), fail("work"), fail("save"), loaders=1)
    assert saved[:5] == [0, 1, 2, 3, 4]
