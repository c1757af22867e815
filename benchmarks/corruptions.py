"""Files as damage and malice leave them: bytes that changed, and contents that lie within a sound container."""

import copy
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from typing import Any

Random = random.Random
Corruption = Callable[[bytes, Random], bytes]

NUMBERS = (0, -1, 2**31, 2**63, 10**17, 1e308, -0.0, 0.5)
NASTY = (None, True, "", "x" * 5000, "\x1b[31mred\n", "../../etc/passwd", "\ud800", "\0", [], {}, [[]], *NUMBERS)
LONG = ("9" * 5000, "[" * 5000, '{"a":' * 3000, '"' + "x" * 100_000 + '"')
TEXTS = (*LONG, "NaN", "Infinity", "1e999", "'", "")
SETTINGS = ("-1", "true", '""', "[]", "{}", "[[1]]", "nan", "1979-05-27", r'"\u001b[31m"', '["x", 1]', *LONG)


def bytewise(data: bytes, randoms: Random) -> bytes:
    """A few bits, bytes, blocks or ends changed."""
    found = bytearray(data)
    for _ in range(randoms.choice((1, 1, 1, 2, 5, 40))):
        at, size = randoms.randrange(len(found) + 1), randoms.choice((1, 1, 4, 8, 64, 1000))
        match randoms.randrange(7):
            case 0 if found:
                found[at % len(found)] ^= 1 << randoms.randrange(8)
            case 1:
                found[at : at + size] = bytes(len(found[at : at + size]))
            case 2:
                found[at : at + size] = randoms.randbytes(len(found[at : at + size]))
            case 3:
                found[at:at] = randoms.randbytes(size)
            case 4:
                del found[at : at + size]
            case 5:
                number = randoms.choice((b"\xff" * 8, b"\xff" * 4, struct.pack("<Q", 2**40), struct.pack("<I", 2**31)))
                found[at : at + len(number)] = number
            case _:
                found = found[:at] if randoms.random() < 0.3 else found + found[at : at + size]
    return bytes(found)


def in_json(data: bytes, randoms: Random) -> bytes:
    """A value replaced, gone, moved or new in a JSON text that can be parsed; or one that can hardly be."""
    document = json.loads(data)
    for _ in range(randoms.choice((1, 1, 2, 4))):
        _change(document, randoms)
    if randoms.random() < 0.1:
        document = randoms.choice(NASTY)
    text = json.dumps(document)
    if randoms.random() < 0.2:
        at = randoms.choice([place for place, letter in enumerate(text) if letter in ":,[{"] or [0])
        text = text[: at + 1] + randoms.choice(TEXTS) + text[at + 1 + randoms.randrange(4) :]
    return text.encode()


def _change(document: Any, randoms: Random) -> None:
    holders = [document] if isinstance(document, dict | list) else []
    for holder in holders:
        items = holder.values() if isinstance(holder, dict) else holder
        holders.extend(item for item in items if isinstance(item, dict | list))
    holders = [holder for holder in holders if holder]
    if not holders:
        return
    holder: Any = randoms.choice(holders)
    place = randoms.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    match randoms.randrange(5):
        case 0:
            del holder[place]
        case 1 if isinstance(holder, dict):
            holder[randoms.choice(("", "x", "class_name", "\x1b[0m"))] = copy.deepcopy(randoms.choice(NASTY))
        case 2:
            holder[place] = [holder[place]]
        case 3 if isinstance(holder[place], int):
            holder[place] = randoms.choice(NUMBERS)
        case _:
            values = (*NASTY, randoms.choice(holders)) if randoms.random() < 0.1 else NASTY
            holder[place] = copy.deepcopy(randoms.choice(values))  # itself within itself would have no end


def in_zip(member: str, corruption: Corruption) -> Corruption:
    """The same of one member of a zip, packed anew with the sums of what it has become."""

    def corrupt(data: bytes, randoms: Random) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        target = next(name for name in members if name.endswith(member))
        members[target] = corruption(members[target], randoms)
        return packed(members, randoms)

    return corrupt


def members(data: bytes, randoms: Random) -> bytes:
    """A zip with a member too few, too many, twice, empty, or under another name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    name = randoms.choice(list(found))
    match randoms.randrange(4):
        case 0:
            del found[name]
        case 1:
            found[name] = b""
        case 2:
            found[randoms.choice(("../x", "/x", "x" * 300, "a/data.pkl", "config.json", "assets/x"))] = found.pop(name)
        case _:
            found[f"{name}/"] = bytes(3_000_000)
    return packed(found, randoms)


def packed(found: dict[str, bytes], randoms: Random) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", randoms.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, data in found.items():
            archive.writestr(name, data)
    return file.getvalue()


def in_header(data: bytes, randoms: Random) -> bytes:
    """A safetensors file whose header lies, of the length that it says."""
    (size,) = struct.unpack("<Q", data[:8])
    header = in_json(data[8 : 8 + size], randoms)
    return struct.pack("<Q", len(header)) + header + data[8 + size :]


def in_toml(data: bytes, randoms: Random) -> bytes:
    """A table of settings with another value for one of them, or another table altogether."""
    lines = data.decode().splitlines()
    at = randoms.randrange(1, len(lines))
    lines[at] = f"{lines[at].partition('=')[0]}= {randoms.choice(SETTINGS)}"
    if randoms.random() < 0.2:
        lines[0] = randoms.choice(("tool = 1", "[tool]\nparity = 1", "[[tool.parity]]", "[tool.parity.x]"))
    return "\n".join(lines).encode("utf-8", "surrogatepass")
