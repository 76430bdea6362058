"""Sample data under the names that programs and tests know: an uplink, an application, a device."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MODERN_CIPHER", "apptest", "devicetest", "uplink"]

#: The cipher suites that the network's servers asked for. This library needs no such setting.
MODERN_CIPHER = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in (
        "AES256-GCM-SHA384",
        "CHACHA20-POLY1305",
        "AES128-GCM-SHA256",
        "AES256-SHA384",
        "AES128-SHA256",
    )
    for key in ("ECDSA", "RSA")
)

#: An uplink of the network's early days.
uplink: dict[str, Any] = {
    "dev_id": "guest",
    "port": 1,
    "counter": 5,
    "payload_raw": "AQ==",
    "payload_fields": {"led": True},
    "metadata": {
        "time": "2016-09-14T14:19:20.272552952Z",
        "frequency": 868.1,
        "modulation": "LORA",
        "data_rate": "SF7BW125",
        "coding_rate": "4/5",
        "gateways": [
            {
                "eui": "B827EBFFFE87BD22",
                "timestamp": 1960494347,
                "time": "2016-09-14T14:19:20.258723Z",
                "rssi": -49,
                "snr": 9.5,
                "rf_chain": 1,
            }
        ],
    },
}

#: An application.
apptest: dict[str, Any] = {
    "appId": "test",
    "appEui": "0011223344556677",
    "accessKey": "local.12345678",
    "payloadFormat": "custom",
    "decoder": "",
    "converter": "",
    "validator": "",
    "encoder": "",
    "registerOnJoinAccessKey": "",
}

#: A device in the form that registering takes.
devicetest: dict[str, Any] = {
    "description": "Description",
    "appEui": "0011223344556677",
    "devEui": "9988776655443322",
    "devAddr": "11223344",
    "nwkSKey": b"AF9BB301F21356AFEFCA6E5992B8EBCF",
    "appSKey": b"E62A17D1DD0D44BDC8B20C4B1E00C70A",
    "appKey": b"54677AC7E33B52B769C5C31FBED34AD5",
    "fCntUp": 10,
    "fCntDown": 11,
    "latitude": 100,
    "longitude": 200,
    "altitude": 300,
    "attributes": {"foo": "bar"},
    "disableFCntCheck": True,
    "uses32BitFCnt": True,
}
