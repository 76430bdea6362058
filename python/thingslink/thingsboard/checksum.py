"""Checksums of firmware packages (TB 1.5)."""

import hashlib
import zlib

from thingslink._native import _murmur3_32, _murmur3_128


def checksum(data: bytes, algorithm: str) -> str | None:
    """The checksum as the server writes it: lower-case hex; of integers, their bytes in little-endian order.

    Args:
        data: The package.
        algorithm: SHA256, SHA384, SHA512, MD5, CRC32, MURMUR3_32 or MURMUR3_128, in any case.

    Returns:
        ``None`` for an algorithm that ThingsBoard does not have.
    """
    match algorithm.upper():
        case "SHA256" | "SHA384" | "SHA512" | "MD5" as name:
            return hashlib.new(name.lower(), data, usedforsecurity=False).hexdigest()
        case "CRC32":
            return zlib.crc32(data).to_bytes(4, "little").hex()
        case "MURMUR3_32":
            return _murmur3_32(data).to_bytes(4, "little").hex()
        case "MURMUR3_128":
            return _murmur3_128(data).to_bytes(16, "little").hex()
        case _:
            return None


def verify_checksum(firmware_data: bytes | None, checksum_alg: str | None, checksum_value: str | None) -> bool:
    """Whether a package has this checksum; an unknown algorithm or a missing value has none."""
    if firmware_data is None or checksum_alg is None or checksum_value is None:
        return False
    found = checksum(firmware_data, checksum_alg)
    # Of integers the original left leading zeros out, and some servers may, too: the width is fixed here.
    return found is not None and found == checksum_value.lower().strip().rjust(len(found), "0")
