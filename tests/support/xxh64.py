"""XXH64 in plain Python, to tell what a hash should be."""

from __future__ import annotations

MASK = 2**64 - 1
P1, P2, P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P4, P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def rotate(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & MASK


def xxh64(data: bytes, seed: int) -> int:
    """XXH64 by its specification, https://github.com/Cyan4973/xxHash (doc/xxhash_spec.md)."""

    def mix(lane: int, value: int) -> int:
        return rotate((lane + value * P2) & MASK, 31) * P1 & MASK

    def word(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], "little")

    at, end = 0, len(data)
    if end >= 32:
        lanes = [seed + P1 + P2, seed + P2, seed, seed - P1]
        lanes = [lane & MASK for lane in lanes]
        while at + 32 <= end:
            lanes = [mix(lane, word(at + 8 * i, 8)) for i, lane in enumerate(lanes)]
            at += 32
        turns = zip(lanes, (1, 7, 12, 18), strict=True)
        result = sum(rotate(lane, by) for lane, by in turns) & MASK
        for lane in lanes:
            result = ((result ^ mix(0, lane)) * P1 + P4) & MASK
    else:
        result = (seed + P5) & MASK
    result = (result + end) & MASK
    while at + 8 <= end:
        result = (rotate(result ^ mix(0, word(at, 8)), 27) * P1 + P4) & MASK
        at += 8
    if at + 4 <= end:
        result = (rotate(result ^ (word(at, 4) * P1 & MASK), 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        result = rotate(result ^ (byte * P5 & MASK), 11) * P1 & MASK
    result = (result ^ result >> 33) * P2 & MASK
    result = (result ^ result >> 29) * P3 & MASK
    return result ^ result >> 32
