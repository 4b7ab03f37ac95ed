"""Input texts: what a request says, and by which it is known at the other end."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from zlib import crc32

from faker import Faker

LOCALES = ("en_US", "de_DE", "ja_JP", "el_GR", "ar_AA", "ko_KR", "uk_UA")
_lock = Lock()


@lru_cache
def _faker(locale: str) -> Faker:
    return Faker(locale)


def sentence(seed: str, nonce: str) -> str:
    """A sentence in some script, the same for the same seed; the nonce keeps a cache from answering for it."""
    number = crc32(seed.encode())
    with _lock:  # Faker's generators are not made for threads
        faker = _faker(LOCALES[number % len(LOCALES)])
        faker.seed_instance(number)
        return f"{faker.sentence(nb_words=8)} ({nonce})"
