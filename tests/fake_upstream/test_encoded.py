"""Encoded speech is real: each format as its standard has it, as long as the text, the same bytes each time."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import subprocess
import sys
from array import array
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import av
import pytest

from fake_upstream import container, pcm
from fake_upstream.decoded import DEMUXERS, WITHOUT_CHECKSUM, Undecodable, decode
from fake_upstream.encoded import Encoded, encode, header_size
from fake_upstream.memo import Memo
from fake_upstream.pyav import CodecMissing
from fake_upstream.utterance import FORMATS, Speech

HOME = Path(__file__).resolve().parents[2]
COMPRESSED = tuple(DEMUXERS)
TEXTS = {
    "one character": "a",
    "a sentence": "The quick brown fox jumps over the lazy dog, again and again.",
    "Japanese": "こんにちは、世界。今日はとても良い天気ですね。",
    "Arabic": "مرحبا بالعالم، كيف حالك اليوم؟",
    "beyond the BMP": "🎵 a song, and 𝄞 a clef 🎶",
    "4,096 characters": ("All of it, to the last of the characters. " * 100)[:4096],
}
FRAME = {"mp3": 576, "aac": 1024, "flac": 576, "opus": 480, "wav": 480, "pcm": 480}
"""Samples in a codec frame at 24 kHz: MPEG-2 layer III, AAC-LC, FLAC's level 0, 20 ms."""
RUN_IN = {"mp3": 1105, "aac": 1024}
"""Samples before the first sound: LAME's 576 and the decoder's 529; AAC's first frame."""
PIECE = {**FRAME, "opus": 2400}
"""Samples between two cuts; an Ogg page has five frames."""
SENTENCE = TEXTS["a sentence"]


def made(response_format: str, text: str = SENTENCE, voice: str = "alloy", speed: float = 1.0) -> Encoded:
    return encode(Speech(text, voice, response_format, speed))


def said(text: str, speed: float = 1.0) -> float:
    """Seconds that a text takes to say."""
    return len(text) * pcm.SECONDS_PER_CHARACTER / speed


# --- how long it plays


@pytest.mark.parametrize("response_format", FORMATS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_it_plays_as_long_as_the_text_takes_to_say(response_format: str, text: str) -> None:
    encoded = made(response_format, text)
    decoded = decode(encoded.data, response_format)
    assert decoded.seconds == encoded.seconds
    surplus = (decoded.seconds - said(text)) * pcm.SAMPLE_RATE - RUN_IN.get(response_format, 0)
    assert surplus > -1
    assert surplus < 2 * FRAME[response_format]
    assert decoded.channels == 1
    assert decoded.sample_rate == (48_000 if response_format == "opus" else 24_000)
    assert decoded.codec == (response_format if response_format in COMPRESSED else "pcm_s16le")


@pytest.mark.parametrize("response_format", FORMATS)
@pytest.mark.parametrize("speed", [0.25, 1, 1.7, 4.0])
def test_it_plays_longer_for_more_text_and_shorter_at_speed(response_format: str, speed: float) -> None:
    allowed = 3 * FRAME[response_format] / pcm.SAMPLE_RATE
    for times in (1, 3):
        decoded = decode(made(response_format, SENTENCE * times, speed=speed).data, response_format)
        assert decoded.seconds == pytest.approx(said(SENTENCE * times, speed), abs=allowed)


@pytest.mark.parametrize("response_format", COMPRESSED)
def test_it_sounds_all_the_way(response_format: str) -> None:
    samples = array("h")
    resampler = av.AudioResampler(format="s16", layout="mono", rate=pcm.SAMPLE_RATE)
    with av.open(io.BytesIO(made(response_format).data), format=DEMUXERS[response_format]) as file:
        for frame in file.decode(audio=0):
            for plain in resampler.resample(frame):
                samples.frombytes(bytes(plain.planes[0])[: 2 * plain.samples])
    tenth = pcm.SAMPLE_RATE // 10
    peaks = [max(samples[start : start + tenth]) for start in range(0, len(samples) - 2 * tenth, tenth)]
    assert min(peaks) > 5_000


def test_voices_differ_in_pitch_and_in_nothing_else() -> None:
    def crossings(voice: str) -> int:
        samples = array("h", made("pcm", voice=voice).data)
        return sum(a < 0 <= b for a, b in pairwise(samples))

    heard = [crossings(voice) for voice in (*pcm.VOICES, "voice_1234")]
    assert heard == sorted(set(heard))
    for response_format in FORMATS:
        low, high = made(response_format), made(response_format, voice="verse")
        assert low.data != high.data
        assert low.seconds == high.seconds


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"text": ""}, "text is empty"),
        ({"response_format": "ogg"}, "'ogg': choose one of mp3, opus"),
        ({"speed": 0}, "from 0.25 to 4.0"),
        ({"speed": float("nan")}, "speed is nan"),
    ],
)
def test_a_speech_that_the_api_does_not_have_is_refused(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Speech(**{"text": "a", **wrong})  # type: ignore[arg-type]


# --- what it looks like


def mp3_frames(data: bytes) -> list[int]:
    """Where MPEG-2 layer III frames end, by their headers alone (ISO/IEC 13818-3, section 2.4.2)."""
    ends, at = [], 0
    rates = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    while at < len(data):
        head = int.from_bytes(data[at : at + 4], "big")
        assert head >> 21 == 0x7FF, f"no sync at {at}"
        assert head >> 17 & 0b1111 == 0b1001, "not MPEG-2 layer III"
        assert head >> 10 & 0b11 == 1, "not 24 kHz"
        assert head >> 6 & 0b11 == 3, "not mono"
        at += 72_000 * rates[head >> 12 & 0xF] // pcm.SAMPLE_RATE + (head >> 9 & 1)
        ends.append(at)
    return ends


def adts_frames(data: bytes) -> list[int]:
    """Where ADTS frames end, by their headers alone (ISO/IEC 13818-7, section 6.2)."""
    ends, at = [], 0
    while at < len(data):
        head = int.from_bytes(data[at : at + 7], "big")
        assert head >> 44 == 0xFFF, f"no sync at {at}"
        assert head >> 41 & 0b11 == 0, "layer is always 0"
        assert head >> 34 & 0xF == 6, "not 24 kHz"
        at += head >> 13 & 0x1FFF
        ends.append(at)
    return ends


def crc(data: bytes, width: int, polynomial: int) -> int:
    """A CRC without reflection, from 0: that of FLAC and of Ogg."""
    value, top = 0, 1 << width - 1
    for byte in data:
        value ^= byte << width - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & (top << 1) - 1
    return value


def pieces(encoded: Encoded) -> list[bytes]:
    starts = (header_size(encoded), *encoded.cuts)
    return [encoded.data[a:b] for a, b in zip(starts, encoded.cuts, strict=False)]


@pytest.mark.parametrize("response_format", FORMATS)
@pytest.mark.parametrize("text", ["a", SENTENCE])
def test_cuts_go_up_to_the_end(response_format: str, text: str) -> None:
    encoded = made(response_format, text)
    assert encoded.cuts[-1] == len(encoded.data)
    assert list(encoded.cuts) == sorted(set(encoded.cuts))
    assert encoded.cuts[0] > header_size(encoded)
    assert len(encoded.cuts) == pytest.approx(encoded.seconds * pcm.SAMPLE_RATE / PIECE[response_format], abs=1)


def test_mp3_is_bare_frames() -> None:
    encoded = made("mp3")
    assert list(encoded.cuts) == mp3_frames(encoded.data)
    assert header_size(encoded) == 0
    assert not {b"Xing", b"Info", b"ID3", b"TAG"} & {encoded.data[at : at + 4] for at in range(200)}


def test_aac_is_adts() -> None:
    encoded = made("aac")
    assert list(encoded.cuts) == adts_frames(encoded.data)
    assert header_size(encoded) == 0


def test_flac_frames_have_their_checksums() -> None:
    encoded = made("flac")
    assert encoded.data.startswith(b"fLaC")
    assert header_size(encoded) < 100
    for piece in pieces(encoded):
        assert piece[:2] == b"\xff\xf8"
        assert crc(piece, 16, 0x8005) == 0


def test_flac_does_not_announce_its_length() -> None:
    """STREAMINFO's total of samples is 0, "unknown" (RFC 9639, section 8.2), as in any stream that is made live."""
    streaminfo = made("flac").data[8:42]
    assert int.from_bytes(streaminfo[13:18], "big") & (1 << 36) - 1 == 0


def test_opus_is_pages_of_ogg() -> None:
    encoded = made("opus")
    head = [page.end for page in container.ogg_pages(encoded.data)][:2]
    assert head[1] == header_size(encoded)
    assert encoded.data[28:36] == b"OpusHead"
    assert b"OpusTags" in encoded.data[head[0] : head[1]]
    pages = [encoded.data[: head[0]], encoded.data[head[0] : head[1]], *pieces(encoded)]
    for number, page in enumerate(pages):
        assert page.startswith(b"OggS")
        assert page[14:18] == pages[0][14:18], "one serial"
        assert int.from_bytes(page[18:22], "little") == number
        assert int.from_bytes(page[22:26], "little") == crc(page[:22] + bytes(4) + page[26:], 32, 0x04C11DB7)
        assert bool(page[5] & 4) == (page is pages[-1]), "the last says so"


def test_wav_is_its_pcm_behind_a_header() -> None:
    wav, bare = made("wav"), made("pcm")
    assert wav.data[:4] + wav.data[8:12] == b"RIFFWAVE"
    assert header_size(wav) == pcm.WAV_HEADER
    assert header_size(bare) == 0
    assert wav.data[pcm.WAV_HEADER :] == bare.data == pcm.speech(SENTENCE)
    assert {len(piece) for piece in pieces(wav)[:-1]} == {len(piece) for piece in pieces(bare)[:-1]} == {960}


@pytest.mark.parametrize("response_format", ["wav", "flac", "opus"])
def test_a_header_is_measured_once_it_is_there(response_format: str) -> None:
    encoded = made(response_format)
    size = header_size(encoded)
    assert {container.header_size(encoded.data[:end]) for end in range(size // 2)} == {None}
    assert {container.header_size(encoded.data[:end]) for end in range(size // 2, size)} <= {None, size}
    assert {container.header_size(encoded.data[:end]) for end in range(size, size + 100)} == {size}


def test_headers_that_others_write_are_measured() -> None:
    assert container.header_size(b"ID3\x04\0\0\0\0\x01\x02" + bytes(200)) == 140
    assert container.header_size(b"ID3\x04\0\x10\0\0\x01\x02" + bytes(200)) == 150
    assert container.header_size(b"ID3\x04\0") is None
    assert container.header_size(made("wav").data[:36] + b"LIST\x03\0\0\0abc\0data\xff\xff\xff\xff12") == 56
    assert container.header_size(b"\xff\xf3\x84\xc4") == 0


# --- the same each time


FINGERPRINT = """
import hashlib, sys
from fake_upstream.encoded import encode
from fake_upstream.utterance import FORMATS, Speech
for name in FORMATS:
    encoded = encode(Speech("Encoded twice, the same? مرحبا こんにちは", "coral", name, 1.25))
    print(name, hashlib.sha256(encoded.data).hexdigest(), hashlib.sha256(repr(encoded.cuts).encode()).hexdigest())
"""


def run(code: str, seed: str = "0") -> str:
    command = [sys.executable, "-X", "utf8", "-c", code]
    done = subprocess.run(command, cwd=HOME, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_processes_encode_the_same_bytes() -> None:
    first, second = run(FINGERPRINT, "1"), run(FINGERPRINT, "2")
    assert first == second
    assert len(first.splitlines()) == len(FORMATS)


@pytest.mark.parametrize("response_format", FORMATS)
def test_the_order_of_encoding_does_not_matter(response_format: str) -> None:
    """Nothing of one encoding leaks into the next: a fresh process that encodes only this has the same bytes."""
    code = f"""
import hashlib
from fake_upstream.encoded import encode
from fake_upstream.utterance import Speech
print(hashlib.sha256(encode(Speech({SENTENCE!r}, response_format={response_format!r})).data).hexdigest())
"""
    assert run(code).strip() == hashlib.sha256(made(response_format).data).hexdigest()


def test_what_was_encoded_is_kept() -> None:
    assert made("mp3") is made("mp3")


def test_threads_that_ask_at_once_wait_for_one_making() -> None:
    go, made_for = Event(), list[str]()

    def make(key: str) -> list[str]:
        made_for.append(key)
        assert go.wait(60)
        return [key]

    memo, got = Memo(make, len, 10), list[list[str]]()
    threads = [Thread(target=lambda: got.append(memo.get("a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert made_for == ["a"]
    assert len(got) == 8
    assert all(value is got[0] for value in got)


def test_different_keys_are_made_side_by_side() -> None:
    begun = {"a": Event(), "b": Event()}

    def make(key: str) -> str:
        begun[key].set()
        assert begun["b" if key == "a" else "a"].wait(60)
        return key

    memo, got = Memo(make, len, 10), list[str]()
    threads = [Thread(target=lambda key=key: got.append(memo.get(key))) for key in begun]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == ["a", "b"]


def test_a_memo_keeps_what_was_used_last_within_its_limit() -> None:
    asked = list[str]()

    def make(key: str) -> bytes:
        asked.append(key)
        return bytes(len(key))

    memo = Memo(make, len, 4)
    for key in ("aa", "bb", "aa", "cc", "aa", "bb", "a long one", "a long one", "aa"):
        assert memo.get(key) == bytes(len(key))
    assert asked == ["aa", "bb", "cc", "bb", "a long one", "aa"]


def test_a_memo_keeps_nothing_of_a_failure() -> None:
    attempts = iter([ValueError("once"), None])

    def make(key: str) -> str:
        if error := next(attempts):
            raise error
        return key

    memo = Memo(make, len, 4)
    with pytest.raises(ValueError, match="once"):
        memo.get("a")
    assert memo.get("a") == "a"


# --- what arrived


@pytest.mark.parametrize("response_format", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.37, 0.5, 0.75, 0.99])
def test_what_is_cut_short_plays_for_shorter(response_format: str, share: float) -> None:
    encoded = made(response_format)
    arrived = round(share * len(encoded.data))
    whole = sum(cut <= arrived for cut in encoded.cuts)
    expected = encoded.seconds * whole / len(encoded.cuts)
    decoded = decode(encoded.data[:arrived], response_format)
    assert decoded.seconds == pytest.approx(expected, abs=1.01 * PIECE[response_format] / pcm.SAMPLE_RATE)
    assert decoded.seconds < encoded.seconds


@pytest.mark.parametrize("response_format", FORMATS)
def test_what_is_cut_between_frames_plays_up_to_there(response_format: str) -> None:
    encoded = made(response_format)
    for pieces_in in (3, 10, len(encoded.cuts) - 1):
        decoded = decode(encoded.data[: encoded.cuts[pieces_in - 1]], response_format)
        # Opus plays its first 6.5 ms nowhere: the encoder's run-in, which the header announces.
        expected = pieces_in * PIECE[response_format] / pcm.SAMPLE_RATE - (0.0065 if response_format == "opus" else 0)
        assert decoded.seconds == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("response_format", COMPRESSED)
def test_what_lacks_a_piece_lacks_its_time(response_format: str) -> None:
    encoded = made(response_format)
    holed = encoded.data[: encoded.cuts[9]] + encoded.data[encoded.cuts[19] :]
    lost = 10 * PIECE[response_format] / pcm.SAMPLE_RATE
    found = encoded.seconds - decode(holed, response_format).seconds
    assert found == pytest.approx(lost, abs=2 * PIECE[response_format] / pcm.SAMPLE_RATE)


@pytest.mark.parametrize("response_format", [name for name in FORMATS if name != "pcm"])
def test_what_holds_only_a_header_or_less_does_not_play(response_format: str) -> None:
    encoded = made(response_format)
    for size in (0, 1, 3, 4, 20, header_size(encoded) or 30):
        with pytest.raises(Undecodable, match=rf"^{response_format}: .*\({size} bytes"):
            decode(encoded.data[:size], response_format)


GARBAGE = {
    "an error": json.dumps({"error": {"message": "The server had an error.", "type": "server_error"}}).encode() * 9,
    "a page": b"<!doctype html><html><head><title>502 Bad Gateway</title></head></html>\r\n" * 40,
    "zeros": bytes(10_000),
    "ones": b"\xff" * 10_000,
    **{f"noise {seed}": random.Random(seed).randbytes(100 * 4**seed) for seed in range(6)},
}


@pytest.mark.parametrize("response_format", [name for name in FORMATS if name != "pcm"])
@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_garbage_does_not_play(response_format: str, data: bytes) -> None:
    with pytest.raises(Undecodable, match=rf"^{response_format}: .*beginning with b'"):
        decode(data, response_format)


@pytest.mark.parametrize("response_format", WITHOUT_CHECKSUM)
def test_noise_in_which_some_frames_look_real_does_not_play(response_format: str) -> None:
    """One in some hundred noises holds something that an AAC decoder takes for a frame; here are real ones."""
    encoded = made(response_format)
    noise = random.Random(1).randbytes(5_000)
    data = noise + encoded.data[: encoded.cuts[4]] + noise
    with pytest.raises(Undecodable, match=r"only [1-9]\d* bytes look like frames"):
        decode(data, response_format)
    assert decode(encoded.data + noise, response_format).seconds > encoded.seconds / 2, "what is mostly audio does"


@pytest.mark.parametrize("claimed", [name for name in FORMATS if name != "pcm"])
@pytest.mark.parametrize("actual", FORMATS)
def test_one_format_does_not_pass_for_another(claimed: str, actual: str) -> None:
    if claimed != actual:
        with pytest.raises(Undecodable):
            decode(made(actual).data, claimed)


def test_another_codec_in_the_same_container_does_not_pass() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as out:
        stream = out.add_stream("flac", rate=24_000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=24_000)
        frame.sample_rate = 24_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            if packet.size:
                out.mux(packet)
    with pytest.raises(Undecodable, match="it is flac"):
        decode(file.getvalue(), "opus")


def test_a_wav_that_does_not_know_its_length_plays_what_is_there() -> None:
    """Live services write 0xFFFFFFFF where the sizes belong."""
    data = bytearray(made("wav").data)
    data[4:8] = data[40:44] = b"\xff" * 4
    assert decode(bytes(data), "wav").seconds == made("wav").seconds


def test_pcm_has_no_form_but_a_length() -> None:
    assert decode(bytes(48_001), "pcm").seconds == 1
    with pytest.raises(Undecodable, match="1 bytes hold no sample"):
        decode(b"a", "pcm")


def test_a_format_that_the_api_does_not_have_is_no_garbage() -> None:
    with pytest.raises(ValueError, match="choose one of mp3, opus") as caught:
        decode(b"", "ogg")
    assert not isinstance(caught.value, Undecodable)


# --- without PyAV, and by the word of others


@pytest.mark.parametrize("response_format", COMPRESSED)
def test_without_pyav_the_message_says_what_to_install(response_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded, speech = (
        made(response_format),
        Speech(f"{response_format}, asked for without PyAV", "alloy", response_format),
    )
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "av", None)
        for attempt in (lambda: encode(speech), lambda: decode(encoded.data, response_format)):
            with pytest.raises(CodecMissing, match=rf"^{response_format} audio needs PyAV .*'streamproof\[audio\]'"):
                attempt()
    assert decode(encode(speech).data, response_format).seconds > 0, "once it is installed it works"


def test_wav_and_pcm_do_without_pyav() -> None:
    code = """
import sys
sys.modules["av"] = None
from fake_upstream.encoded import encode
from fake_upstream.utterance import Speech
from fake_upstream.decoded import decode
for name in ("wav", "pcm"):
    print(decode(encode(Speech("fifteen letters", response_format=name)).data, name).seconds)
"""
    assert run(code).split() == ["1.0", "1.0"]


def test_pyav_is_not_imported_before_it_is_needed() -> None:
    assert (
        run("import sys, fake_upstream.encoded, fake_upstream.decoded; print('av' in sys.modules)").strip() == "False"
    )


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
@pytest.mark.parametrize("response_format", [name for name in FORMATS if name != "pcm"])
def test_ffprobe_agrees(response_format: str, tmp_path: Path) -> None:
    """It is told nothing, neither by a name nor by an option, and decodes each frame."""
    encoded, path = made(response_format), tmp_path / "speech"
    path.write_bytes(encoded.data)
    entries = "stream=codec_name,sample_rate,channels:frame=nb_samples:format=format_name"
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", entries, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    probed = json.loads(done.stdout)
    decoded = decode(encoded.data, response_format)
    [stream] = probed["streams"]
    assert stream["codec_name"] == decoded.codec
    assert int(stream["sample_rate"]) == decoded.sample_rate
    assert stream["channels"] == decoded.channels
    assert probed["format"]["format_name"] == {"opus": "ogg"}.get(response_format, response_format)
    seconds = sum(frame["nb_samples"] for frame in probed["frames"]) / decoded.sample_rate
    assert seconds == pytest.approx(decoded.seconds, abs=1e-9)


def test_a_wav_whose_lengths_lie_is_undecodable() -> None:
    """As when its header was taken for text: a chunk's length leads out of the file."""
    whole = encode(Speech("Hello.", response_format="wav")).data
    with pytest.raises(Undecodable):
        decode(whole[:16] + b"\xef\xbf\xbd\xef\xbf\xbd" + whole[20:400], "wav")
