"""Input texts: the same words for the same seed, and never the same text twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from harness.scenario import load_scenarios
from harness.texts import LOCALES, sentence


def test_the_same_seed_has_the_same_words_and_the_nonce_makes_them_unique() -> None:
    assert sentence("delivery/lockstep[chunked-512]", "a1") == sentence("delivery/lockstep[chunked-512]", "a1")
    one, other = sentence("x", "a1"), sentence("x", "a2")
    assert one.removesuffix(" (a1)") == other.removesuffix(" (a2)")
    assert one != other


def test_seeds_differ_in_words_and_in_script() -> None:
    """What is sent through a proxy is not only ASCII."""
    seeds = [f"{s.id}[{v}]/0" for s in load_scenarios().values() for v in s.variants]
    texts = [sentence(seed, "n") for seed in seeds]
    assert len(set(texts)) > len(seeds) * 0.9
    scripts = {max(text.partition(" (")[0]) > "\u0370" for text in texts}
    assert scripts == {False, True}, "some beyond Latin, some not"
    assert len(LOCALES) > 3


def test_many_threads_at_once_get_the_words_they_would_get_alone() -> None:
    """Faker's generators share their state."""
    seeds = [str(n) for n in range(200)]
    alone = [sentence(seed, "n") for seed in seeds]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda seed: sentence(seed, "n"), seeds)) == alone
