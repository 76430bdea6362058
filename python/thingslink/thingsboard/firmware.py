"""Download of firmware packages (TB 1.5, 3.8): what `TBDeviceMqttClient` does with what it hears of them."""

# ruff: noqa: SLF001

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checksum import verify_checksum
from .constants import (
    FW_CHECKSUM_ALG_ATTR,
    FW_CHECKSUM_ATTR,
    FW_ERROR_ATTR,
    FW_SIZE_ATTR,
    FW_STATE_ATTR,
    FW_TITLE_ATTR,
    FW_VERSION_ATTR,
    REQUIRED_SHARED_KEYS,
    TBFirmwareState,
)

if TYPE_CHECKING:
    from .device import TBDeviceMqttClient

log = logging.getLogger("tb_connection")

#: Where a package lies that the server does not keep itself.
FW_URL_ATTR = "fw_url"
CHUNKS = "v2/fw/response/+/chunk/+"
ERRORS = "v2/fw/error"


class Download:
    """The package that a client is downloading.

    Attributes:
        number: Number of the request, new for each package.
        info: What the shared attributes say of the package.
    """

    def __init__(self, number: int, info: dict[str, Any]) -> None:
        self.number = number
        self.info = info
        self.data = bytearray()
        self.chunk = 0
        self.retried = False

    @property
    def size(self) -> int:
        """Bytes of the whole package."""
        return int(self.info.get(FW_SIZE_ATTR) or 0)


def _subscribe(client: TBDeviceMqttClient) -> None:
    client._subscribe_to_topic(CHUNKS, 1)
    client._subscribe_to_topic(ERRORS, 1)


def start(client: TBDeviceMqttClient) -> None:
    """Tell the server what is installed, and ask for what should be."""
    _subscribe(client)
    client.send_telemetry(client.current_firmware_info)
    _ask(client)


def _ask(client: TBDeviceMqttClient) -> None:
    def answered(answer: Any, _exception: object) -> None:
        # It is looked at like every push; but what it does not say is not asked for again.
        client._firmware_answer = answer.get("shared") if isinstance(answer, dict) else None

    client.request_attributes(shared_keys=[*REQUIRED_SHARED_KEYS.split(","), FW_URL_ATTR], callback=answered)


def update(client: TBDeviceMqttClient, title: str | None, version: str | None, state: Any, error: str | None) -> None:
    """Change what is told about the firmware, and send it as telemetry."""
    info = client.current_firmware_info
    if title is not None:
        info["current_" + FW_TITLE_ATTR] = title
    if version is not None:
        info["current_" + FW_VERSION_ATTR] = version
    if state is not None:
        info[FW_STATE_ATTR] = getattr(state, "value", state)
    failed = info[FW_STATE_ATTR] == TBFirmwareState.FAILED.value
    info[FW_ERROR_ATTR] = error if failed and error is not None else ""
    client.send_telemetry(info)


def on_attributes(client: TBDeviceMqttClient, info: dict[str, Any]) -> None:
    """Begin a download if the attributes announce another package than the installed one."""
    installed = client.current_firmware_info
    title, version = info.get(FW_TITLE_ATTR), info.get(FW_VERSION_ATTR)
    same = title in (None, installed.get("current_" + FW_TITLE_ATTR)) and version in (
        None,
        installed.get("current_" + FW_VERSION_ATTR),
    )
    if same:
        return
    before = client._download
    if before is not None and before.info == info and not before.retried:
        return
    if not info.get(FW_SIZE_ATTR):
        _elsewhere(client, info)
        return
    download = Download(before.number + 1 if before is not None else 1, info)
    client._download = download
    client.firmware_info = info
    _subscribe(client)
    client.update_firmware_info(state=TBFirmwareState.DOWNLOADING)
    _request(client, download)


def _elsewhere(client: TBDeviceMqttClient, info: dict[str, Any]) -> None:
    """Find out more of a package without a size; one that lies elsewhere is told, once."""
    title, version, url = package = tuple(info.get(name) for name in (FW_TITLE_ATTR, FW_VERSION_ATTR, FW_URL_ATTR))
    if url is not None:
        if client._firmware_elsewhere != package:
            client._firmware_elsewhere = package
            # Without what follows the path, which may be a secret.
            log.warning("firmware %s %s lies at %s: it is not downloaded", title, version, str(url).partition("?")[0])
            if client._on_firmware_url is not None:
                client._on_firmware_url(client, url, version)
    elif info is not client._firmware_answer:
        # A push tells what has changed alone: ask for the rest.
        _ask(client)
    else:
        log.error("firmware %s %s is announced without its size: it cannot be downloaded", title, version)


def _request(client: TBDeviceMqttClient, download: Download) -> None:
    size = client._chunk_size
    payload = "" if not size or size > download.size else str(size)
    client._client.publish(f"v2/fw/request/{download.number}/chunk/{download.chunk}", payload, qos=1)


def on_chunk(client: TBDeviceMqttClient, request: str, data: bytes) -> None:
    """Take a piece of the package."""
    download = client._download
    if download is None or request != str(download.number) or len(download.data) >= download.size:
        return
    download.data += data
    download.chunk += 1
    if not data:
        _fail(client, download, "The server sent an empty piece")
    elif len(download.data) < download.size:
        _request(client, download)
    else:
        _finish(client, download)


def on_error(client: TBDeviceMqttClient, reason: object) -> None:
    """The server refused a request for a piece."""
    download = client._download
    if download is not None:
        _fail(client, download, str(reason))


def _fail(client: TBDeviceMqttClient, download: Download, reason: str) -> None:
    log.error("firmware %s %s: %s", download.info.get(FW_TITLE_ATTR), download.info.get(FW_VERSION_ATTR), reason)
    client.update_firmware_info(state=TBFirmwareState.FAILED, error=reason)
    download.data.clear()
    download.info = dict(download.info, **{FW_SIZE_ATTR: 0})


def _finish(client: TBDeviceMqttClient, download: Download) -> None:
    client.update_firmware_info(state=TBFirmwareState.DOWNLOADED)
    data, info = bytes(download.data), download.info
    if not verify_checksum(data, info.get(FW_CHECKSUM_ALG_ATTR), info.get(FW_CHECKSUM_ATTR)):
        _fail(client, download, "Checksum verification failed!")
        return
    client.update_firmware_info(state=TBFirmwareState.VERIFIED)
    client.firmware_data = data
    client.firmware_received = True
    callback = _store if client._on_firmware_received is None else client._on_firmware_received
    callback(client, data, info.get(FW_VERSION_ATTR))
    client.firmware_received = False


def _store(client: TBDeviceMqttClient, data: bytes, version: str | None) -> None:
    """Write the package to a file named after its title, as long as nobody has said what to do with it."""
    title = str(client.firmware_info.get(FW_TITLE_ATTR) or "firmware")
    client.update_firmware_info(state=TBFirmwareState.UPDATING)
    # The name alone: a title from the network chooses no folder.
    Path(Path(title).name or "firmware").write_bytes(data)
    log.warning("the firmware is stored as %r: call set_on_firmware_received_callback to install it", title)
    client.update_firmware_info(title=title, version=version, state=TBFirmwareState.UPDATED)
