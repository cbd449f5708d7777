#!/usr/bin/env python3
"""A DNS server on loopback, UDP and TCP, that does to a client whatever the first label of the name says (those with `_` in front
left out).

Knows: the wire format, as far as it takes to break it. BEHAVIOURS lists the labels; `late-500` and `many-40` take a number.
Must not know: who asks and why.
Fails: a name without a known first label gets NXDOMAIN.

    with HostileDns() as dns:          # a thread of its own; dns.server is "127.0.0.1:PORT"
        ... dns.asked["good.example"] ...
    tests/fake/hostile_dns.py [ADDRESS [PORT]]     by hand, until it is killed
"""
import asyncio
import collections
import os
import socket
import struct
import sys
import threading

TTL = 300
TEXT = b"v=mc1 auth=good"
FORGED = b"v=mc1 auth=forged"
SOON_S = 0.05
TXT, CNAME, SOA, OPT, TSIG, IN = 16, 5, 6, 41, 250, 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
QR, TC, RD, RA, AD = 0x8000, 0x0200, 0x0100, 0x0080, 0x0020
ASKED_NAME = b"\xc0\x0c"  # a pointer to the question


# ---- the wire format ----

def wire_name(name):
    return b"".join(bytes([len(label)]) + label for label in name.encode().split(b".") if label) + b"\0"


def record(kind, data, owner=ASKED_NAME, ttl=TTL):
    return owner + struct.pack(">HHIH", kind, IN, ttl, len(data)) + data


def txt(*strings):
    return record(TXT, b"".join(bytes([len(s)]) + s for s in strings))


def soa(ttl=120, minimum=60):
    """The negative TTL is the lesser of the two."""
    return record(SOA, wire_name("ns.test") + wire_name("root.test") + struct.pack(">IIIII", 1, 2, 3, 4, minimum), ttl=ttl)


class Query:
    def __init__(self, packet):
        self.id, _, questions, _, _, more = struct.unpack(">HHHHHH", packet[:12])
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
            at += 1 + packet[at]
        if questions != 1:
            raise ValueError("not one question")
        self.question = packet[12:at + 5]
        self.name = ".".join(labels).lower()
        self.label = next((label for label in self.name.split(".") if not label.startswith("_")), "")
        self.has_edns = more > 0 and packet[at + 5:at + 8] == b"\0" + struct.pack(">H", OPT)

    def reply(self, answers=(), rcode=NOERROR, flags=0, authority=(), additional=(), **wrong):
        """wrong: id, question, counts as they are not."""
        counts = wrong.get("counts", (1, len(answers), len(authority), len(additional)))
        header = struct.pack(">HHHHHH", wrong.get("id", self.id), QR | RD | RA | flags | rcode, *counts)
        return header + wrong.get("question", self.question) + b"".join((*answers, *authority, *additional))

    def bare(self, rcode, **wrong):
        """A header that says that nothing follows."""
        return struct.pack(">HHHHHH", wrong.get("id", self.id), QR | RD | rcode, 0, 0, 0, 0)

    def good(self, text=TEXT, **more):
        return self.reply([txt(text)], **more)


# ---- what is done: by UDP. A behaviour yields (seconds to wait, packet, from another port) ----

def good(q):
    yield 0, q.good(), False


def authentic(q):
    yield 0, q.good(flags=AD), False


def strings(q):
    yield 0, q.reply([txt(b"v=mc1 ", b"auth=", b"good")]), False


def nxdomain(q):
    yield 0, q.reply(rcode=NXDOMAIN, authority=[soa()]), False


def nodata(q):
    yield 0, q.reply(authority=[soa()]), False


def no_soa(q):
    yield 0, q.reply(rcode=NXDOMAIN), False


def wrong_id(q):
    yield 0, q.good(FORGED, id=q.id ^ 0x5555), False
    yield SOON_S, q.good(), False


def wrong_question(q):
    yield 0, q.good(FORGED, question=wire_name("other.example") + struct.pack(">HH", TXT, IN)), False
    yield 0, q.good(FORGED, question=q.question[:-4] + struct.pack(">HH", 1, IN)), False
    yield SOON_S, q.good(), False


def wrong_port(q):
    yield 0, q.good(FORGED), True
    yield SOON_S, q.good(), False


def garbage(q):
    for size in (0, 1, 11, 12, 40, 1400):
        yield 0, os.urandom(size), False
    yield SOON_S, q.good(), False


def flood(q):
    for wrong in range(1, 200):
        yield 0, q.good(FORGED, id=q.id ^ wrong), False
    yield SOON_S, q.good(), False


def only_wrong_id(q):
    yield 0, q.good(FORGED, id=q.id ^ 1), False


def query_itself(q):
    """Our own question sent back: not a response."""
    packet = bytearray(q.good(FORGED))
    packet[2] &= 0x7f
    yield 0, bytes(packet), False
    yield SOON_S, q.good(), False


def late(q, milliseconds):
    yield milliseconds / 1000, q.good(), False


def twice(q):
    yield 0, q.good(), False
    yield 0, q.good(), False


def truncated(q):
    yield 0, q.reply(flags=TC), False


def loop(q):
    at = 12 + len(q.question)
    yield 0, q.reply([record(TXT, b"\x01x", owner=struct.pack(">H", 0xc000 | at))]), False


def cname_loop(q):
    other = wire_name("other.example")
    yield 0, q.reply([record(CNAME, other), record(CNAME, ASKED_NAME, owner=other)]), False


def cname_away(q):
    yield 0, q.reply([record(CNAME, wire_name("elsewhere.example"))]), False


def many(q, count):
    yield 0, q.reply([txt(b"v=mc1 auth=%d" % i) for i in range(count)]), False


def tsig(q):
    data = wire_name("hmac-sha256") + b"\0" * 6 + struct.pack(">HH", 300, 4000) + b"\0" * 4000 + b"\0" * 6
    yield 0, q.reply([txt(TEXT)], additional=[record(TSIG, data, owner=b"\x01k\0") for _ in range(3)]), False


def bad_counts(q):
    yield 0, q.reply([txt(TEXT)], counts=(1, 9, 0, 0)), False


def cut(q):
    yield 0, q.good()[:-4], False


def servfail(q):
    yield 0, q.reply(rcode=SERVFAIL), False


def refused(q):
    yield 0, q.reply(rcode=REFUSED), False


def formerr(q):
    yield 0, q.reply(rcode=FORMERR), False


def formerr_edns(q):
    yield 0, q.reply(rcode=FORMERR) if q.has_edns else q.good(), False


def notimp_edns(q):
    yield 0, q.reply(rcode=NOTIMP) if q.has_edns else q.good(), False


def bare_formerr(q):
    yield 0, q.bare(FORMERR) if q.has_edns else q.good(), False


def bare_notimp(q):
    yield 0, q.bare(NOTIMP) if q.has_edns else q.good(), False


def bare_always(q):
    yield 0, q.bare(FORMERR), False


def bare_others(q):
    """None of these is a reason for anything."""
    yield 0, q.bare(FORMERR, id=q.id ^ 1), False
    for rcode in (NOERROR, SERVFAIL, NXDOMAIN, REFUSED):
        yield 0, q.bare(rcode), False
    yield SOON_S, q.good(), False


def stragglers(q):
    for _ in range(20):
        yield 0, q.good(), False


def silence(q):
    del q
    return iter(())


BEHAVIOURS = {
    "good": good, "authentic": authentic, "strings": strings, "nxdomain": nxdomain, "nodata": nodata, "no-soa": no_soa,
    "wrong-id": wrong_id, "wrong-question": wrong_question, "wrong-port": wrong_port, "garbage": garbage, "flood": flood,
    "only-wrong-id": only_wrong_id, "query-itself": query_itself, "twice": twice, "loop": loop, "cname-loop": cname_loop,
    "cname-away": cname_away, "tsig": tsig, "bad-counts": bad_counts, "cut": cut, "servfail": servfail, "refused": refused,
    "formerr": formerr, "formerr-edns": formerr_edns, "notimp-edns": notimp_edns, "silence": silence,
    "bare-formerr": bare_formerr, "bare-notimp": bare_notimp, "bare-always": bare_always, "bare-others": bare_others,
    "stragglers": stragglers,
    # These say TC by UDP; what they do by TCP is below.
    "truncated": truncated, "tcp-close": truncated, "tcp-close-half": truncated, "tcp-stall": truncated,
    "tcp-stall-length": truncated, "tcp-wrong-id": truncated, "tcp-truncated": truncated, "tcp-tiny": truncated,
    "tcp-empty-strings": truncated, "tcp-slow": truncated, "tcp-servfail": truncated,
}
NUMBERED = {"late": late, "many": many, "tcp-many": lambda q, count: truncated(q)}


def numbered(label):
    """("many", 40) of many-40."""
    head, _, tail = label.rpartition("-")
    return (head, int(tail)) if head in NUMBERED and tail.isdigit() else (None, 0)


def udp_answers(q):
    kind, number = numbered(q.label)
    if kind:
        return NUMBERED[kind](q, number)
    return BEHAVIOURS.get(q.label, nxdomain)(q)


# ---- by TCP: the bytes to send, then whether the connection is closed or kept in silence ----

def framed(message):
    return struct.pack(">H", len(message)) + message


def empty_strings(q):
    room = 65535 - len(q.reply()) - 12
    return framed(q.reply([record(TXT, b"\0" * room)]))


def tcp_answer(q):
    answer = framed(q.good())
    kind, number = numbered(q.label)
    if kind:
        texts = [b"v=mc1 auth=%d %s" % (i, b"x" * 150) for i in range(number)]
        return framed(q.reply([txt(text) for text in texts])), True
    return {
        "tcp-close": (b"", True),
        "tcp-close-half": (answer[:20], True),
        "tcp-stall": (answer[:20], False),
        "tcp-stall-length": (answer[:1], False),
        "tcp-wrong-id": (framed(q.good(FORGED, id=q.id ^ 1)), True),
        "tcp-truncated": (framed(q.reply(flags=TC)), True),
        "tcp-tiny": (framed(b"\0\0\0"), True),
        "tcp-empty-strings": (empty_strings(q), True),
        "tcp-servfail": (framed(q.reply(rcode=SERVFAIL)), True),
        "tcp-slow": (answer, True),
    }.get(q.label, (answer, True))


# ---- the server ----

class UdpSide(asyncio.DatagramProtocol):
    def __init__(self, server):
        self.server = server
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        try:
            query = Query(data)
        except (ValueError, IndexError, struct.error):
            return
        self.server.note(query, addr[1])
        if self.server.is_silent:
            return
        for seconds, packet, is_elsewhere in udp_answers(query):
            send = self.server.send_elsewhere if is_elsewhere else self.transport.sendto
            if seconds:
                self.server.loop.call_later(seconds, send, packet, addr)
            else:
                send(packet, addr)


class HostileDns:
    def __init__(self, host="127.0.0.1", port=0, tcp=True):
        self.host, self.port, self.has_tcp = host, port, tcp
        self.asked = collections.Counter()  # by name, UDP and TCP
        self.tcp_asked = collections.Counter()
        self.ids, self.ports = [], []
        self.is_silent = False  # answers nobody, whatever the name
        self.loop = asyncio.new_event_loop()
        self.is_ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.stopping = None

    @property
    def server(self):
        """As policyd.ini has it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def note(self, query, port):
        self.asked[query.name] += 1
        self.ids.append(query.id)
        self.ports.append(port)

    def send_elsewhere(self, packet, addr):
        with socket.socket(self.udp.family, socket.SOCK_DGRAM) as other:
            other.sendto(packet, addr)

    async def _serve_tcp(self, reader, writer):
        try:
            size, = struct.unpack(">H", await reader.readexactly(2))
            query = Query(await reader.readexactly(size))
            self.note(query, 0)
            self.tcp_asked[query.name] += 1
            data, closes = tcp_answer(query)
            pieces = [data[i:i + 1] for i in range(len(data))] if query.label == "tcp-slow" else [data]
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.002 if len(pieces) > 1 else 0)
            if not closes:
                await self.stopping.wait()
        except (OSError, ValueError, IndexError, struct.error, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _bind(self):
        """One port for both; another one where TCP's is taken."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        while True:
            self.udp = socket.socket(family, socket.SOCK_DGRAM)
            self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            self.udp.bind((self.host, self.port))
            chosen = self.udp.getsockname()[1]
            self.tcp = socket.socket(family)
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                # Bound in any case, so that nobody else answers there; without TCP nobody listens.
                self.tcp.bind((self.host, chosen))
                self.port = chosen
                return
            except OSError:
                self.udp.close()
                self.tcp.close()
                if self.port:
                    raise

    async def _main(self):
        self.stopping = asyncio.Event()
        transport, _ = await self.loop.create_datagram_endpoint(lambda: UdpSide(self), sock=self.udp)
        server = await asyncio.start_server(self._serve_tcp, sock=self.tcp, backlog=512) if self.has_tcp else None
        self.is_ready.set()
        await self.stopping.wait()
        transport.close()
        if server:
            server.close()
        self.tcp.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _run(self):
        self.loop.run_until_complete(self._main())
        self.loop.close()

    def start(self):
        self._bind()
        self.thread.start()
        if not self.is_ready.wait(10):
            raise AssertionError("the hostile DNS server did not start")
        return self

    def stop(self):
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.stopping.set)
            self.thread.join(10)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def main():
    host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    dns = HostileDns(host, int(sys.argv[2]) if len(sys.argv) > 2 else 0).start()
    print("ready", dns.server, flush=True)
    dns.thread.join()


if __name__ == "__main__":
    main()
