"""One process at a time writes below a URL."""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from augforge.errors import RemoteError, StoreError
from augforge.remote.bucket import Bucket as Place
from augforge.remote.lease import NAME, Lease, held
from tests.remote.faulty import FINE, SLOW_DOWN, Fault, Proxy
from tests.remote.stores import Bucket


def place(bucket: Bucket) -> Place:
    return Place(f"{bucket.root}/run")


def test_of_many_that_try_at_once_one_succeeds(bucket: Bucket):
    leases = [Lease(place(bucket)) for _ in range(8)]
    start = threading.Barrier(8)

    def attempt(lease: Lease) -> bool:
        start.wait()
        try:
            lease.take()
        except StoreError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(attempt, leases))
    assert sum(taken) == 1
    leases[taken.index(True)].release()


def test_the_second_is_told_who_holds_it(bucket: Bucket):
    first = Lease(place(bucket))
    first.take()
    with pytest.raises(
        StoreError, match=rf"another augforge is writing to {bucket.root}/run: process {os.getpid()} on"
    ):
        Lease(place(bucket)).take()
    first.release()
    second = Lease(place(bucket))
    second.take()
    second.release()


def test_a_lease_is_renewed_for_as_long_as_it_is_held(bucket: Bucket):
    lease = Lease(place(bucket), seconds=1.0)
    lease.take()
    time.sleep(2.5)
    with pytest.raises(StoreError):
        Lease(place(bucket), seconds=1.0).take()
    lease.check()
    lease.release()


def stopped(lease: Lease) -> Lease:
    """A lease that is no longer renewed, as that of a process that was stopped."""
    lease._ended.set()
    lease._thread.join()
    return lease


def test_one_that_is_over_is_taken_and_its_holder_stops(bucket: Bucket):
    first = Lease(place(bucket), seconds=1.0)
    first.take()
    stopped(first)
    first.check()
    time.sleep(2.6)  # the store tells whole seconds
    second = Lease(place(bucket), seconds=30.0)
    second.take()
    with pytest.raises(StoreError, match=rf"was taken over by process {os.getpid()} on .*: this run stops"):
        first.check()
    first.release()
    second.check()
    second.release()
    assert held(place(bucket)).left == 0


def test_one_that_was_late_and_that_nobody_took_goes_on(bucket: Bucket):
    lease = Lease(place(bucket), seconds=0.5)
    lease.take()
    stopped(lease)
    time.sleep(0.6)
    lease.check()
    lease.release()


def test_a_holder_of_this_machine_that_is_dead_is_not_waited_for(bucket: Bucket):
    import subprocess

    dead = subprocess.Popen(["true"])
    dead.wait()
    lease = Lease(place(bucket))
    plain = json.loads(lease._content()) | {"process": dead.pid, "token": "another"}
    bucket.put(f"run/{NAME}", json.dumps(plain).encode())
    lease.take()
    lease.release()
    bucket.put(f"run/{NAME}", json.dumps(plain | {"namespace": "another machine"}).encode())
    with pytest.raises(StoreError, match="another augforge") as raised:
        Lease(place(bucket)).take()
    assert "its lease ends in" in raised.value.hint


def test_a_damaged_lease_is_waited_for_as_any_other(bucket: Bucket):
    bucket.put(f"run/{NAME}", b"\x00 no json")
    with pytest.raises(StoreError, match="process 0 on an unknown machine"):
        Lease(place(bucket)).take()


def test_a_lease_that_somebody_removed_is_lost(bucket: Bucket):
    lease = Lease(place(bucket), seconds=0.4)
    lease.take()
    bucket.remove(f"run/{NAME}")
    time.sleep(0.8)
    with pytest.raises(StoreError, match="has lost its lease"):
        lease.check()
    lease.release()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(mute=True),
        pytest.param(SLOW_DOWN, marks=pytest.mark.slow),
        pytest.param(Fault(409, "ConditionalRequestConflict"), marks=pytest.mark.slow),
    ],
    ids=["mute", "503", "409"],
)
def test_faults_neither_lose_a_lease_nor_share_it(faulty: tuple[Bucket, Proxy], fault):
    """With `mute` the store has written, and its answer is lost: the holder has to know its own lease."""
    bucket, proxy = faulty
    proxy.plan = lambda request: fault if request.method == "PUT" and request.number % 2 else FINE
    lease = Lease(place(bucket), seconds=2.0)
    lease.take()
    for _ in range(3):
        time.sleep(0.4)
        lease.check()
    with pytest.raises(StoreError, match="another augforge"):
        Lease(place(bucket)).take()
    lease.release()


def test_a_server_that_is_gone_longer_than_the_lease_is_good(faulty: tuple[Bucket, Proxy]):
    bucket, proxy = faulty
    lease = Lease(place(bucket), seconds=1.0)
    lease.take()
    proxy.plan = lambda request: Fault(deaf=True)
    time.sleep(1.5)
    proxy.plan = lambda request: FINE
    lease.check()
    lease.release()


@pytest.mark.parametrize("url", ["memory://bucket/run", "hf://datasets/a/b"])
def test_stores_without_conditions_are_refused(url):
    with pytest.raises(RemoteError, match=r"^no run is written to ") as raised:
        Place(url)
    assert "s3://, gs:// or az://" in raised.value.hint


def test_a_bucket_that_is_not_there(bucket: Bucket):
    with pytest.raises(RemoteError, match="there is no bucket no-such-bucket"):
        Lease(Place("s3://no-such-bucket/run")).take()
