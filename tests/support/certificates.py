"""Certificates for tests, generated without files of the machine or external programs."""

from __future__ import annotations

import base64
import ipaddress
import secrets
from dataclasses import dataclass

from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC
from Crypto.Signature import DSS

_SEQUENCE, _SET, _INTEGER, _BITS, _OCTETS, _OID, _UTF8, _TIME = 48, 49, 2, 3, 4, 6, 12, 23
_TRUE = b"\x01\x01\xff"


def tlv(tag: int, *parts: bytes) -> bytes:
    """Return an ASN.1 value in DER."""
    value = b"".join(parts)
    size = len(value)
    long = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, size) if size < 128 else (tag, 128 + len(long), *long)) + value


_COMMON_NAME = tlv(_OID, bytes.fromhex("550403"))
_HOSTS = tlv(_OID, bytes.fromhex("551d11"))
_CONSTRAINTS = tlv(_OID, bytes.fromhex("551d13"))
_ECDSA_WITH_SHA256 = tlv(_SEQUENCE, tlv(_OID, bytes.fromhex("2a8648ce3d040302")))


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


def make_certificate(*hosts: str) -> Pair:
    """Return a self-signed certificate for these host names and IP addresses."""
    key = ECC.generate(curve="P-256")
    serial = b"\x01" + secrets.token_bytes(8)
    name = tlv(
        _SEQUENCE, tlv(_SET, tlv(_SEQUENCE, _COMMON_NAME, tlv(_UTF8, serial.hex().encode())))
    )
    years = tlv(_SEQUENCE, tlv(_TIME, b"200101000000Z"), tlv(_TIME, b"491231235959Z"))
    extensions = tlv(
        _SEQUENCE,
        tlv(_SEQUENCE, _HOSTS, tlv(_OCTETS, tlv(_SEQUENCE, *map(_host, hosts)))),
        tlv(_SEQUENCE, _CONSTRAINTS, _TRUE, tlv(_OCTETS, tlv(_SEQUENCE, _TRUE))),
    )
    to_sign = tlv(
        _SEQUENCE,
        tlv(0xA0, tlv(_INTEGER, b"\x02")),  # version 3
        tlv(_INTEGER, serial),
        _ECDSA_WITH_SHA256,
        name,
        years,
        name,
        key.public_key().export_key(format="DER"),
        tlv(0xA3, extensions),
    )
    signature = DSS.new(key, "fips-186-3", encoding="der").sign(SHA256.new(to_sign))
    whole = tlv(_SEQUENCE, to_sign, _ECDSA_WITH_SHA256, tlv(_BITS, b"\x00", signature))
    return Pair(_pem(whole), key.export_key(format="PEM", use_pkcs8=True).encode() + b"\n")


def _host(host: str) -> bytes:
    try:
        return tlv(0x87, ipaddress.ip_address(host).packed)
    except ValueError:
        return tlv(0x82, host.encode())


def _pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
