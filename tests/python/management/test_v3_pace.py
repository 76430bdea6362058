"""How fast calls go to a Things Stack V3: as its rate limits allow, and past the planned end of its connections."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE
from stack_peer import APP, FULL, Refusal, StackPeer
from thingslink import ApplicationError, NotConnectedError, StatusCode
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    import grpc
    from peers import Generated

LIMIT = "gRPC get, 12 per minute and a burst of 3, call 4"
ABP = {"dev_addr": "01020304", "nwk_s_key": "AB" * 16, "app_s_key": "CD" * 16, "frequency_plan_id": "EU_863_870_TTN"}


class LimitedPeer(StackPeer):
    """A stack with limits as it counts them: an even rate and a burst, for each method or for all of them."""

    def __init__(self, generated: Generated, per_second: float, burst: int, *, is_shared: bool) -> None:
        self._interval, self._burst, self._is_shared = 1 / per_second, burst, is_shared
        self._full_at: dict[str, float] = {}
        self._guard = threading.Lock()
        self.tripped = 0
        super().__init__(generated)

    def answer(self, path: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        with self._guard:
            now, of = time.monotonic(), "" if self._is_shared else path
            following = max(self._full_at.get(of, now), now) + self._interval
            is_over = following - now > self._interval * self._burst + 1e-9
            if is_over:
                self.tripped += 1
            else:
                self._full_at[of] = following
            reset = max(self._full_at.get(of, now) - now, 0)
            available = int((self._interval * self._burst - reset) / self._interval + 1e-9)
        headers = {"limit": self._burst, "available": available, "reset": int(reset), "retry": 1 if is_over else 0}
        told = tuple((f"x-rate-limit-{name}", str(number)) for name, number in headers.items())
        if is_over:
            refusal = Refusal(LIMIT)
            refusal.initial = dict(told)
            self._refuse(refusal, context)
        context.send_initial_metadata(told)
        return super().answer(path, request, context)


@pytest.mark.parametrize("is_shared", [False, True], ids=["a limit a method", "one limit for all"])
def test_bulk_work_never_meets_the_limit(generated: Generated, is_shared: bool) -> None:
    count = 60
    stack = LimitedPeer(generated, 50, 20, is_shared=is_shared)
    try:
        with (
            ApplicationClient(APP, FULL, stack.address, insecure_channel=True) as client,
            concurrent.futures.ThreadPoolExecutor(8) as pool,
        ):
            list(pool.map(lambda number: client.register_device(f"abp{number}", ABP), range(count)))
        assert stack.tripped == 0
        assert [len(stack.devices()[name]) for name in ("Is", "Ns", "As")] == [count] * 3
    finally:
        stack.stop()


def test_waiting_for_the_limit_ends_with_the_client(stack: StackPeer) -> None:
    limit = Refusal(LIMIT)
    limit.initial = {**limit.initial, "x-rate-limit-retry": "10"}
    stack.refuse("ApplicationRegistry/Get", limit)
    client = ApplicationClient(APP, FULL, stack.address, insecure_channel=True)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get)
        deadline = time.monotonic() + PATIENCE
        while not stack.requests:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        client.close()
        with pytest.raises(NotConnectedError):
            waiting.result(PATIENCE)


def test_a_call_that_finds_no_room_in_its_time_is_not_sent(stack: StackPeer) -> None:
    limit = Refusal(LIMIT)
    limit.initial = {**limit.initial, "x-rate-limit-retry": "30"}
    stack.refuse("ApplicationRegistry/Get", limit)
    with ApplicationClient(APP, FULL, stack.address, insecure_channel=True) as client:
        for sent in (1, 0):
            with pytest.raises(ApplicationError) as caught:
                client.get(timeout=2)
            assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED
            assert stack.names() == ["ApplicationRegistry/Get"] * sent


class ShortLivedPeer(StackPeer):
    """Parts with every connection after a while, as a stack does after a day; notes who calls."""

    options = (("grpc.max_connection_age_ms", 200), ("grpc.max_connection_age_grace_ms", 60_000))

    def __init__(self, generated: Generated) -> None:
        self.peers: set[str] = set()
        super().__init__(generated)

    def answer(self, path: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.peers.add(context.peer())
        return super().answer(path, request, context)


def test_the_planned_end_of_a_connection_is_not_noticed(generated: Generated) -> None:
    stack = ShortLivedPeer(generated)
    try:
        with ApplicationClient(APP, FULL, stack.address, insecure_channel=True) as client:
            deadline = time.monotonic() + PATIENCE
            while len(stack.peers) < 4:
                assert time.monotonic() < deadline
                assert client.get().app_id == APP
    finally:
        stack.stop()
