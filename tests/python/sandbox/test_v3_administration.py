"""The V3 sandbox's administrators, applications and API keys, its batches of devices, and its stream of events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from stack_api import Api
from stack_captures import key
from thingslink import ApplicationError, LoginRefusedError, StatusCode
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient, MQTTClient

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterator

    from typing_extensions import Self

ADMIN = f"Bearer {key('ADMIN')}"
CREATE = "users/admin/applications"
NEW = {"application": {"ids": {"application_id": "new-one"}}}


@pytest.fixture
def api() -> Iterator[Api]:
    """Give a stack with an administrator and one application."""
    with Sandbox("app1", key("FULL"), network="v3") as sandbox:
        sandbox.add_administrator("admin", key("ADMIN"))
        yield Api(sandbox)


def refusal(answer: Any) -> str:
    """Give a failure's name."""
    (details,) = answer["details"]
    return f"{details['namespace']}:{details['name']}"


def test_an_application_and_its_keys_live_by_http_alone(api: Api) -> None:
    sandbox = api.sandbox
    made = {"application": {"ids": {"application_id": "green-house"}, "name": "Greenhouse"}}
    status, _, answer = api.ask("POST", CREATE, made, auth=ADMIN)
    assert (status, answer["administrative_contact"]) == (200, {"user_ids": {"user_id": "admin"}})
    rights = ["RIGHT_APPLICATION_TRAFFIC_READ", "RIGHT_APPLICATION_DEVICES_READ"]
    path = "applications/green-house/api-keys"
    status, _, answer = api.ask("POST", path, {"name": "reader", "rights": rights}, auth=ADMIN)
    assert (status, answer["rights"], answer["name"]) == (200, [*reversed(rights)], "reader")
    reader = answer["key"]
    with MQTTClient("green-house", reader, sandbox.mqtt_address) as client:
        heard: list[str] = []
        client.set_uplink_callback(lambda msg, _: heard.append(msg.dev_id))
        client.connect()
        sandbox.device("node-1", "green-house").uplink(b"\x01")
        sandbox.wait_for(lambda: heard == ["node-1"])
    status, _, answer = api.ask("GET", "auth_info", auth=f"Bearer {reader}")
    assert answer["api_key"]["entity_ids"] == {"application_ids": {"application_id": "green-house"}}
    assert "is_admin" not in answer and "key" not in answer["api_key"]["api_key"]
    # It gives nobody what it does not have itself.
    status, _, answer = api.ask("POST", path, {"rights": rights}, auth=f"Bearer {reader}")
    assert (status, refusal(answer)) == (403, "pkg/auth/rights:insufficient_application_rights")
    status, _, answer = api.ask("PUT", "applications/green-house", {"field_mask": "name"}, auth=f"Bearer {reader}")
    assert status == 403
    sandbox.device("node-1", "green-house").delete()
    assert api.ask("DELETE", "applications/green-house", auth=ADMIN)[::2] == (200, {})
    status, _, answer = api.ask("GET", "auth_info", auth=f"Bearer {reader}")
    assert (status, refusal(answer)) == (401, "pkg/identityserver:api_key_not_found")
    # Until somebody purges it, its ID is taken.
    status, _, answer = api.ask("POST", CREATE, made, auth=ADMIN)
    assert (status, refusal(answer)) == (409, "pkg/util/store:id_taken")


@pytest.mark.parametrize(
    ("path", "request_", "auth", "status", "name"),
    [
        (CREATE, {"application": {"ids": {"application_id": "a"}}}, ADMIN, 400, "pkg/errors:validation"),
        (CREATE, {}, ADMIN, 400, "pkg/errors:validation"),
        (
            CREATE,
            {"application": {"ids": {"application_id": "new-one"}}},
            None,
            401,
            "pkg/identityserver:unauthenticated",
        ),
        ("organizations/farm/applications", NEW, ADMIN, 403, "pkg/auth/rights:no_organization_rights"),
        ("applications/app1/api-keys", {"rights": []}, ADMIN, 400, "pkg/errors:validation"),
        (
            "applications/app1/api-keys",
            {"rights": ["RIGHT_APPLICATION_INFO"], "name": "n" * 51},
            ADMIN,
            400,
            "pkg/errors:validation",
        ),
        (
            "applications/nobody/api-keys",
            {"rights": ["RIGHT_APPLICATION_INFO"]},
            ADMIN,
            404,
            "pkg/identityserver/store:application_not_found",
        ),
        (
            "applications/nobody/api-keys",
            {"rights": ["RIGHT_APPLICATION_INFO"]},
            f"Bearer {key('FULL')}",
            403,
            "pkg/auth/rights:no_application_rights",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(
    api: Api, path: str, request_: Any, auth: str | None, status: int, name: str
) -> None:
    got, _, answer = api.ask("POST", path, request_, auth=auth)
    assert (got, refusal(answer)) == (status, name)


def test_a_key_ends_with_its_time(api: Api) -> None:
    path, right = "applications/app1/api-keys", ["RIGHT_APPLICATION_INFO"]
    for end, status in (("2000-01-01T00:00:00Z", 401), ("2999-01-01T00:00:00Z", 200)):
        _, _, made = api.ask("POST", path, {"rights": right, "expires_at": end})
        assert made["expires_at"] == end
        got, _, answer = api.ask("GET", "applications/app1", auth=f"Bearer {made['key']}")
        assert got == status
        if status == 401:
            assert refusal(answer) == "pkg/identityserver:token_expired"


def test_an_administrator_is_known_by_the_clients(api: Api) -> None:
    sandbox = api.sandbox
    address = sandbox.management_address
    with ApplicationClient("app1", key("ADMIN"), address, cert_content=sandbox.ca_certs) as client:
        assert client.get().app_id == "app1"
    with MQTTClient("app1", key("ADMIN"), sandbox.mqtt_address):
        pass
    nobody = MQTTClient("app2", key("ADMIN"), sandbox.mqtt_address)
    with pytest.raises(LoginRefusedError):
        nobody.connect()
    with pytest.raises(ValueError, match='user_id "me" is not valid'):
        sandbox.add_administrator("me", key("ADMIN"))
    with pytest.raises(ValueError, match="access_key") as refused:
        sandbox.add_administrator("admin", "secret")
    assert "secret" not in str(refused.value)
    with Sandbox() as v2, pytest.raises(AttributeError, match="add_administrator"):
        v2.add_administrator("admin", key("ADMIN"))


def test_applications_come_in_pages(api: Api) -> None:
    for name in ("b-app", "a-app"):
        made = {"application": {"ids": {"application_id": name}, "name": name[::-1]}}
        assert api.ask("POST", CREATE, made, auth=ADMIN)[0] == 200

    def page(query: str) -> tuple[list[str], str]:
        _, headers, answer = api.ask("GET", f"applications?{query}", auth=ADMIN)
        return [it["ids"]["application_id"] for it in answer.get("applications", [])], headers["x-total-count"]

    assert page("") == (["a-app", "app1", "b-app"], "3")
    assert page("limit=2&page=2&order=-application_id") == (["a-app"], "3")
    assert page("order=name") == (["app1", "a-app", "b-app"], "3")
    assert page("limit=3&page=2") == ([], "3")
    assert api.ask("GET", "applications?limit=1001", auth=ADMIN)[0] == 400


def test_a_hosted_stack_gives_euis() -> None:
    with Sandbox("app1", key("FULL"), network="v3", tenant="ttn") as sandbox:
        api = Api(sandbox)
        given = [api.ask("POST", "applications/app1/dev-eui", {})[2]["dev_eui"] for _ in range(3)]
        assert len(set(given)) == 3 and all(len(bytes.fromhex(eui)) == 8 for eui in given)
        assert api.get("applications/app1?field_mask=dev_eui_counter")["dev_eui_counter"] == 3


def test_devices_are_read_and_deleted_in_batches(api: Api) -> None:
    sandbox = api.sandbox
    for number in range(4):
        sandbox.device(f"node-{number}")
    wanted = "&".join(f"device_ids={dev_id}" for dev_id in ("node-1", "nobody", "node-3"))
    answer = api.get(f"applications/app1/devices/batch?{wanted}&field_mask=network_server_address")
    read = [(it["ids"]["device_id"], it["network_server_address"]) for it in answer["end_devices"]]
    assert read == [("node-1", "localhost"), ("node-3", "localhost")]
    for server in ("as/", "ns/", "js/", ""):
        assert api.ask("DELETE", f"{server}applications/app1/devices/batch?{wanted}")[::2] == (200, {})
    assert sandbox.devices() == ["node-0", "node-2"]
    for wrong in ("", "&".join(["device_ids=node-0"] * 21), "device_ids=No"):
        status, _, answer = api.ask("GET", f"applications/app1/devices/batch?{wrong}")
        assert (status, refusal(answer)) == (400, "pkg/errors:validation")


def test_a_registered_session_goes_on_with_its_counters(api: Api) -> None:
    sandbox = api.sandbox
    session = {
        "dev_addr": "260B0001",
        "nwk_s_key": bytes(range(16, 32)),
        "app_s_key": bytes(range(16)),
        "fCntUp": 41,
        "fCntDown": 7,
    }
    address = sandbox.management_address
    with ApplicationClient(
        "app1", key("FULL"), address, cert_content=sandbox.ca_certs, frequency_plan_id="EU_863_870_TTN"
    ) as client:
        client.register_device("moved", session)
        device = sandbox.device("moved")
        assert (device.uplink(), device.uplink()) == (42, 43)
        client.push_downlink("moved", b"\x01", port=2)
        assert client.downlinks("moved")[0].f_cnt == 8
        device.uplink()
        assert device.received[0].counter == 8
        lorawan = client.device("moved").lorawan_device
        assert (lorawan.f_cnt_up, lorawan.f_cnt_down) == (44, 8)
        # A server that is told of something else leaves them alone.
        client.update_device("moved", {"nwk_s_key": bytes(range(16))})
        assert device.uplink() == 45


class Followed:
    """The stream of events over HTTP."""

    def __init__(self, api: Api, of: str = "FULL", **request: Any) -> None:
        self.connection: http.client.HTTPConnection = api.connect()
        headers = {"Authorization": f"Bearer {key(of)}", "Accept": "text/event-stream"}
        self.connection.request("POST", "/api/v3/events", json.dumps(request), headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()
        assert self.next()["name"] == "events.stream.start"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()
        self.connection.close()

    def next(self) -> Any:
        while (line := self.response.readline()) == b"\n":
            pass
        # Nothing at all is the end.
        answer = json.loads(line)
        return answer["result"] if "result" in answer else answer["error"]


APPLICATION = {"application_ids": {"application_id": "app1"}}


def test_events_are_told_as_they_happen(api: Api) -> None:
    sandbox = api.sandbox
    script = "function decodeUplink(input) { if (input.fPort === 9) throw new Error('no'); return {data: {}}; }"
    formatters = {"up_formatter": "FORMATTER_JAVASCRIPT", "up_formatter_parameter": script}
    mask = {"paths": ["default_formatters"]}
    request = {"link": {"default_formatters": formatters}, "field_mask": mask}
    assert api.ask("PUT", "as/applications/app1/link", request)[0] == 200
    device, other = sandbox.device("node-1"), sandbox.device("node-2")
    ids = {"device_id": "node-2", **APPLICATION}
    with (
        Followed(api, identifiers=[APPLICATION]) as of_application,
        Followed(api, identifiers=[{"device_ids": ids}], names=["/^as\\.up\\./"]) as of_device,
    ):
        device.join()
        device.uplink(b"\x01", port=1)
        push = "as/applications/app1/devices/node-1/down/push"
        assert api.ask("POST", push, {"downlinks": [{"f_port": 1, "frm_payload": "AQ=="}]})[0] == 200
        assert api.ask("POST", push, {"downlinks": [{"frm_payload": "AQ=="}]})[0] == 400
        other.uplink(b"\x01", port=9)
        told = [of_application.next() for _ in range(7)]
        of_other = [of_device.next()["name"] for _ in range(2)]
        sandbox.end_day()
        assert of_device.next()["code"] == 14
    assert [it["name"] for it in told] == [
        "as.up.join.forward",
        "as.up.data.forward",
        "as.down.data.receive",
        "as.down.data.forward",
        "as.down.data.receive",
        "as.down.data.drop",
        "as.up.data.decode.fail",
    ]
    joined, uplink, _, queued, _, dropped, failed = told
    assert joined["data"]["@type"] == "type.googleapis.com/ttn.lorawan.v3.ApplicationUp"
    assert uplink["identifiers"][0]["device_ids"]["device_id"] == "node-1"
    assert uplink["data"]["uplink_message"]["frm_payload"] == "AQ==" and uplink["correlation_ids"]
    assert (queued["data"]["frm_payload"], dropped["data"]["name"]) == ("AQ==", "no_f_port")
    assert failed["data"]["namespace"] == "pkg/scripting/javascript"
    assert of_other == ["as.up.data.decode.fail", "as.up.data.forward"]


@pytest.mark.parametrize(
    ("request_", "status", "name"),
    [
        ({}, 400, "pkg/events/grpc:no_identifiers"),
        ({"identifiers": [{}]}, 400, "pkg/errors:validation"),
        ({"identifiers": [APPLICATION], "tail": 1}, 400, "pkg/events/grpc:storage_disabled"),
        ({"identifiers": [APPLICATION], "names": ["/(/"]}, 400, "pkg/events/grpc:invalid_regexp"),
        ({"identifiers": [{"gateway_ids": {"gateway_id": "gw1"}}]}, 403, "pkg/auth/rights:no_gateway_rights"),
        (
            {"identifiers": [{"application_ids": {"application_id": "app2"}}]},
            403,
            "pkg/auth/rights:no_application_rights",
        ),
    ],
)
def test_events_that_may_not_be_followed(api: Api, request_: Any, status: int, name: str) -> None:
    got, _, answer = api.ask("POST", "events", request_)
    assert (got, refusal(answer)) == (status, name)


def test_who_may_not_read_traffic_sees_none_of_it(api: Api) -> None:
    api.sandbox.add_application("app1", key("INFO"), "RIGHT_APPLICATION_INFO")
    with Followed(api, "INFO", identifiers=[APPLICATION]) as followed:
        api.sandbox.device("node-1").uplink()
        api.sandbox.end_day()
        assert followed.next()["code"] == 14


def test_refusals_come_to_our_client_as_they_were_said(api: Api) -> None:
    sandbox = api.sandbox
    address = sandbox.management_address
    with ApplicationClient("nobody", key("ADMIN"), address, cert_content=sandbox.ca_certs) as client:
        with pytest.raises(ApplicationError) as refused:
            client.get(timeout=PATIENCE)
        assert refused.value.code is StatusCode.NOT_FOUND and refused.value.name == "application_not_found"
