"""Rate limits: the classes, and sending under them (TB 6)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from thingslink import tb_device_mqtt
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import GreedyTokenBucket, RateLimit, TBDeviceMqttClient, TBPublishInfo

from .conftest import TOKEN, Maker


def test_a_bucket_of_tokens() -> None:
    bucket = GreedyTokenBucket(10, 100)
    assert (bucket.capacity, bucket.duration) == (10, 100)
    assert abs(bucket.last_updated - time.monotonic()) < 5
    assert bucket.can_consume(10) and not bucket.can_consume(11)
    assert bucket.consume(9) and not bucket.consume(2)
    assert 1 <= bucket.get_remaining_tokens() < 2
    bucket.tokens = 5
    bucket.refill()
    assert 5 <= bucket.tokens < 6
    for wrong in ((-1, 1), (float("nan"), 1), (1, 0), (1, -1)):
        with pytest.raises(ValueError, match="is not valid"):
            GreedyTokenBucket(*wrong)


def test_a_limit_of_two_windows() -> None:
    limit = RateLimit("10:100,60:6000", "name")
    assert (limit.name, limit.percentage, limit.has_limit()) == ("name", 80, True)
    assert (limit.get_minimal_limit(), limit.get_minimal_timeout()) == (8, 5)
    assert limit.check_limit_reached(8) is False and limit.check_limit_reached(9) == (8.0, 100)
    limit.increase_rate_limit_counter(8)
    assert limit.check_limit_reached() == (8.0, 100)
    assert RateLimit("10:1").get_minimal_timeout() == 2
    read = RateLimit(limit.__dict__)
    assert read.__dict__["rateLimits"]["100"]["capacity"] == 8 and read.check_limit_reached() == (8.0, 100)
    assert read.name == "name"
    limit.set_limit("20:100", 50)
    assert limit.percentage == 50 and limit.check_limit_reached(3) == (10.0, 100)
    limit.reach_limit()
    assert limit.check_limit_reached(1) == (10.0, 100)
    limit.set_limit("0:0,")
    assert not limit.has_limit() and limit.check_limit_reached(1000) is False


def test_no_limit_and_bad_ones(caplog: pytest.LogCaptureFixture) -> None:
    for none in ("", "0:0", "0:0,", " ; "):
        limit = RateLimit(none)
        assert not limit.has_limit() and limit.get_minimal_limit() == 0 and limit.get_minimal_timeout() == 0
    odd = RateLimit("abc; 5, 10:1")
    assert odd.get_minimal_limit() == 8 and caplog.text.count("Invalid rate limit format") == 2
    assert RateLimit("abc").get_minimal_limit() == float("inf")
    with pytest.raises(TypeError, match="rate_limit"):
        RateLimit(5)  # type: ignore[arg-type]


def test_limits_by_host() -> None:
    assert RateLimit.get_rate_limit_by_host("thingsboard.cloud", "DEFAULT_TELEMETRY_RATE_LIMIT") == "10:1,60:60,"
    assert RateLimit.get_dp_rate_limit_by_host("thingsboard.cloud", "DEFAULT_TELEMETRY_DP_RATE_LIMIT") == "10:1,300:60,"
    assert RateLimit.get_rate_limits_by_host("h", "DEFAULT_MESSAGES_RATE_LIMIT", "5:1") == ("0:0,", "5:1")


@pytest.mark.parametrize(
    ("options", "values", "at_once"),
    [
        ({"telemetry_rate_limit": "10:3600"}, 1, 8),
        ({"telemetry_dp_rate_limit": "10:3600"}, 1, 7),
        ({"telemetry_dp_rate_limit": "10:3600"}, 3, 1),
    ],
)
def test_as_many_go_at_once_as_observed(
    server: ThingsBoard, connected: Maker, options: dict[str, Any], values: int, at_once: int
) -> None:
    client = TBDeviceMqttClient(server.host, server.port, TOKEN, **options)
    # The server's own limits would take the place of these.
    client.service_configuration_callback = lambda *arguments: None
    connected(client, limits=False)
    telemetry = {f"k{number}": number for number in range(values)}
    sent = 0
    while client.send_telemetry(telemetry, timeout=0.05).get(timeout=5) == 0:
        sent += 1
        assert sent < 20
    assert sent == at_once
    info = client.send_telemetry(telemetry, timeout=0.01)
    assert info.rc() == TBPublishInfo.TB_ERR_QUEUE_SIZE
    # Other traffic is limited by itself.
    assert client.claim("s").get() == 0


def test_a_limited_client_keeps_below_the_server_s_limit(server: ThingsBoard, connected: Maker) -> None:
    server.limit(telemetry_messages="50:1", in_flight=100)
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    connected(client)
    infos = [client.send_telemetry({"a": number}) for number in range(60)]
    # The server would have refused what is over its limit.
    assert [info.get(timeout=20) for info in infos] == [0] * 60


def test_the_percentage_may_be_changed_by_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def allowed() -> float:
        return TBDeviceMqttClient("h", rate_limit="20:1")._messages_rate_limit.get_minimal_limit()

    before = tb_device_mqtt.DEFAULT_RATE_LIMIT_PERCENTAGE
    assert (before, allowed()) == (80, 16)
    with monkeypatch.context() as patch:
        patch.setattr(tb_device_mqtt, "DEFAULT_RATE_LIMIT_PERCENTAGE", 50)
        assert (allowed(), RateLimit("20:1").percentage) == (10, 50)
    assert allowed() == 16
    with pytest.raises(ValueError, match="DEFAULT_RATE_LIMIT_PERCENTAGE -1 is not valid"):
        tb_device_mqtt.DEFAULT_RATE_LIMIT_PERCENTAGE = -1
    with pytest.raises(TypeError, match="DEFAULT_RATE_LIMIT_PERCENTAGE must be int, not str"):
        monkeypatch.setattr(tb_device_mqtt, "DEFAULT_RATE_LIMIT_PERCENTAGE", "80")
    assert allowed() == 16
