"""Check digits: what tells a number of a kind from any digits. Each takes digits or a code only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
# Verhoeff 1969: the products of the dihedral group D5, and a permutation.
_D5 = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTED = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def luhn(digits: str) -> bool:
    """Return whether the last digit is right (ISO/IEC 7812): payment cards, IMEI, SIN."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += _DOUBLED[int(digit)] if place % 2 else int(digit)
    return total % 10 == 0


def mod97(code: str) -> bool:
    """Return whether an IBAN's check digits are right (ISO 7064 MOD 97-10); capital letters."""
    return int("".join(str(int(one, 36)) for one in code[4:] + code[:4])) % 97 == 1


def weighted(digits: str, weights: Sequence[int]) -> int:
    """Return the sum of the digits, each times its weight."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))


def mod11_10(digits: str) -> bool:
    """Return whether the last digit is right (ISO 7064 MOD 11,10): German tax numbers."""
    product = 10
    for digit in digits[:-1]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def verhoeff(digits: str) -> bool:
    """Return whether the last digit is right (Verhoeff): Aadhaar."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_D5[check][int(_PERMUTED[place % 8][int(digit)])])
    return check == 0


def machine_readable(field: str) -> int:
    """Return the check digit of a field of a travel document (ICAO 9303): A is 10, < is 0."""
    values = (0 if one == "<" else int(one, 36) for one in field)
    return sum(value * (7, 3, 1)[place % 3] for place, value in enumerate(values)) % 10


def base58check(code: str) -> bool:
    """Return whether an address of Bitcoin and its like carries its own hash."""
    number = 0
    for one in code:
        number = number * 58 + _BASE58.index(one)
    try:
        data = number.to_bytes(25, "big")
    except OverflowError:
        return False
    return hashlib.sha256(hashlib.sha256(data[:-4]).digest()).digest()[:4] == data[-4:]


def bech32(code: str) -> bool:
    """Return whether an address of BIP 173 or 350 has its checksum; small letters."""
    prefix, _, data = code.rpartition("1")
    values = [ord(one) >> 5 for one in prefix] + [0] + [ord(one) & 31 for one in prefix]
    values += [_BECH32.find(one) for one in data]
    check = 1
    for value in values:
        if value < 0:
            return False
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            check ^= generator if top >> place & 1 else 0
    return check in (1, 0x2BC830A3)
