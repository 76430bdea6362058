"""The part of a device's client that is about firmware and software packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .mqtt import taken
from .private_names import PrivateNames

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from thingslink._native import Callback

    from .constants import TBFirmwareState
    from .packages import Packages

    _OfData: TypeAlias = Callable[[Any, bytes, Any], object]
    _OfText: TypeAlias = Callable[[Any, Any, Any], object]

#: Forms of the callbacks.
_RECEIVED, _FAILED, _ELSEWHERE = "client, data, version", "client, error, version", "client, url, version"


class PackageClient(PrivateNames):
    """Downloads packages, and tells the server what becomes of them.

    Few programs come here, and what it imports is large: the downloads themselves (`packages`) are loaded by the first.
    """

    current_firmware_info: dict[str, str]
    """What is told about the installed firmware."""
    firmware_info: dict[str, Any]
    """The shared attributes that came last; there after the first ones."""
    firmware_data: bytes
    """The firmware package that came last; there after the first one."""
    firmware_received: bool
    """Whether a package is complete and being handled."""
    current_software_info: dict[str, str]
    """What is told about the installed software."""
    software_info: dict[str, Any]
    """The shared attributes of the software package that came last; there after the first one."""
    software_data: bytes
    """The software package that came last; there after the first one."""
    software_received: bool
    """Whether a software package is complete and being handled."""

    _chunk_size: int
    # Double underscores keep this apart from whatever a program's subclass calls its own.
    __packages: Packages | None = None
    _on_firmware_received: Callback | None = None
    _on_firmware_url: Callback | None = None
    _on_firmware_failed: Callback | None = None
    _on_software_received: Callback | None = None
    _on_software_failed: Callback | None = None
    _on_software_url: Callback | None = None
    _is_connect_callback_running = False
    #: Bytes of the largest message that the server takes, once it has told; 0 before.
    _most_bytes_told = 0

    def __init__(self, *, chunk_size: int, **how: Any) -> None:
        PrivateNames.__init__(self, **how)
        self.current_firmware_info, self.current_software_info = (
            {
                f"current_{kind}_title": "Initial",
                f"current_{kind}_version": "v0",
                f"{kind}_state": "IDLE",
                f"{kind}_error": "",
            }
            for kind in ("fw", "sw")
        )
        self.firmware_received = self.software_received = False
        self._chunk_size = chunk_size

    def _all_packages(self) -> Packages:
        from .packages import Packages  # noqa: PLC0415

        with self._lock:
            if self.__packages is None:
                self.__packages = Packages()
            return self.__packages

    def get_firmware_update(self) -> None:
        """Download the firmware package that the shared attributes announce, now and whenever they change.

        A lost connection goes on at the missing piece after the next login. What cannot be had ends in the state
        FAILED, with the server's word as ``current_firmware_info["fw_error"]`` and for
        ``set_on_firmware_failed_callback``; another call, or another announcement
        of the server's, begins anew.
        """
        from .package import FIRMWARE  # noqa: PLC0415

        self._all_packages().get(self, FIRMWARE)

    def update_firmware_info(
        self, title: str | None = None, version: str | None = None, state: Any = None, error: str | None = None
    ) -> None:
        """Change what is told about the firmware, and send it as telemetry, with the present time."""
        from .package import FIRMWARE  # noqa: PLC0415

        self._all_packages().tell(self, FIRMWARE, title=title, version=version, state=state, error=error)

    def set_on_firmware_received_callback(self, cb: _OfData | None) -> None:
        """Set what gets a downloaded package: ``cb(client, data, version)``."""
        self._on_firmware_received = taken("cb", cb, _RECEIVED)

    def set_on_firmware_failed_callback(self, cb: _OfText | None) -> None:
        """Set what is told that a package cannot be had: ``cb(client, error, version)``, the server's word or ours."""
        self._on_firmware_failed = taken("cb", cb, _FAILED)

    def set_on_firmware_url_callback(self, cb: _OfText | None) -> None:
        """Set what is told of a package that lies elsewhere, once for each: ``cb(client, url, version)``.

        The server names such a package by its address (``fw_url``) and does not keep it: it is not downloaded.
        """
        self._on_firmware_url = taken("cb", cb, _ELSEWHERE)

    def get_software_update(self) -> None:
        """Download the software package that the shared attributes announce, as ``get_firmware_update`` does firmware.

        Without this call, or a callback for them, software packages are not fetched.
        """
        from .package import SOFTWARE  # noqa: PLC0415

        self._all_packages().get(self, SOFTWARE)

    def update_software_info(
        self,
        *,
        title: str | None = None,
        version: str | None = None,
        state: TBFirmwareState | str | None = None,
        error: str | None = None,
    ) -> None:
        """Change what is told about the software, and send it as telemetry, with the present time."""
        from .package import SOFTWARE  # noqa: PLC0415

        self._all_packages().tell(self, SOFTWARE, title=title, version=version, state=state, error=error)

    def set_on_software_received_callback(self, cb: _OfData | None) -> None:
        """Set what gets a downloaded software package: ``cb(client, data, version)``."""
        from .package import SOFTWARE  # noqa: PLC0415

        self._on_software_received = taken("cb", cb, _RECEIVED)
        self._all_packages().want(SOFTWARE)

    def set_on_software_failed_callback(self, cb: _OfText | None) -> None:
        """Set what is told that a software package cannot be had: ``cb(client, error, version)``."""
        self._on_software_failed = taken("cb", cb, _FAILED)

    def set_on_software_url_callback(self, cb: _OfText | None) -> None:
        """Set what is told of a software package that lies elsewhere, as ``set_on_firmware_url_callback`` does."""
        self._on_software_url = taken("cb", cb, _ELSEWHERE)

    # Called by the native client, one at a time, from the thread that serves this client.

    def _hear_connected(self, code: int, _reason: str, _session_present: bool) -> None:
        if code == 0 and self.__packages is not None:
            self.__packages.hear_connected(self)

    def _hear_disconnected(self, _code: int) -> None:
        if self.__packages is not None:
            self.__packages.hear_disconnected()

    def _hear_package(self, kind: str, attributes: dict[str, Any], pushed: bool) -> None:
        if kind == "fw" or self.__packages is not None:
            self._native_claim_thread()
            self._all_packages().hear_attributes(self, kind, attributes, pushed=pushed)

    def _hear_piece(self, kind: str, request: int, piece: int, data: bytes) -> None:
        if self.__packages is not None:
            self._native_claim_thread()
            self.__packages.hear_piece(self, kind, request, piece, data)

    def _hear_piece_refused(self, reason: Any, request: int | None) -> None:
        if self.__packages is not None:
            self._native_claim_thread()
            self.__packages.hear_refused(self, reason, request)

    def _hear_piece_missing(self) -> None:
        if self.__packages is not None:
            self._native_claim_thread()
            self.__packages.hear_missing(self)
