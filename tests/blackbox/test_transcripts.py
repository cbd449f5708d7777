"""Real requests of a real Postfix (tests/transcripts) through the daemon and through `policyctl replay`, cut in every way.

Beside each NAME.txt stands NAME.answers, made by tests/transcripts/make_answers.py, which shares no code with policyd."""
import configparser
import socket
import sys
import unittest

import helper

HERE = helper.ROOT / "tests" / "transcripts"
sys.path.insert(0, str(HERE))
import make_answers  # noqa: E402  # found by the line above

DEFAULT_STATES = "MAIL, RCPT"
# A larger request is cut at a spread of places: most of it is one long value.
ALL_POSITIONS_UP_TO = 4096


class Transcript:
    def __init__(self, path):
        self.path = path
        self.name = path.stem
        self.bytes = path.read_bytes()
        self.requests = make_answers.requests_of(self.bytes)
        self.answers = path.with_suffix(".answers").read_bytes()
        self.each_answer = [piece + b"\n\n" for piece in self.answers.split(b"\n\n")[:-1]]

    def default_states_answers(self):
        """Outside the default states everything is DUNNO."""
        def is_asked(request):
            return any(f"protocol_state={state}\n".encode() in request for state in DEFAULT_STATES.split(", "))
        pairs = zip(self.requests, self.each_answer, strict=True)
        return b"".join(reply if is_asked(request) else make_answers.DUNNO for request, reply in pairs)


TRANSCRIPTS = [Transcript(path) for path in sorted(HERE.glob("*.txt"))]


def receive(sock):
    """One answer: up to the empty line, or the end. Nothing else is under way on this connection."""
    data = b""
    while not data.endswith(b"\n\n") and (piece := sock.recv(65536)):
        data += piece
    return data


def receive_to_end(sock):
    sock.shutdown(socket.SHUT_WR)
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def positions(request):
    """Where to cut a request in two: everywhere, or at a spread of places that includes the line ends."""
    if len(request) <= ALL_POSITIONS_UP_TO:
        return range(1, len(request))
    ends = {at + near for at, byte in enumerate(request) if byte == 10 for near in (0, 1)}
    return sorted((ends | set(range(1, len(request), 37))) - {0, len(request)})


def configuration(**match):
    """The sections of tests/transcripts/policyd.ini, with some keys of [match] changed."""
    ini = configparser.RawConfigParser()
    ini.read(HERE / "policyd.ini")
    sections = {name: dict(ini[name]) for name in ini.sections()}
    sections["match"].update(match)
    return sections


def daemon(test, **match):
    """policyd with the transcripts' table and configuration."""
    return helper.Daemon(test, table=(HERE / "table").read_text(), log_decisions="none", **configuration(**match))


class AnswersTest(unittest.TestCase):
    """The files themselves."""

    def test_answers_are_what_the_second_implementation_says(self):
        self.assertGreater(len(TRANSCRIPTS), 100)
        for transcript in TRANSCRIPTS:
            with self.subTest(transcript=transcript.name):
                answers = b"".join(make_answers.answer(request) for request in transcript.requests)
                self.assertEqual(transcript.answers, answers)

    def test_both_verdicts_occur(self):
        answers = [answer for transcript in TRANSCRIPTS for answer in transcript.each_answer]
        refused = [answer for answer in answers if answer != make_answers.DUNNO]
        self.assertGreater(len(refused), 50)
        self.assertGreater(len(answers) - len(refused), 50)


class TransportCases:
    """The cases of one transport; the classes below say which."""

    def setUp(self):
        self.daemon = daemon(self).start()

    def connect(self):
        raise NotImplementedError

    def test_one_request_after_the_other(self):
        for transcript in TRANSCRIPTS:
            with self.subTest(transcript=transcript.name), self.connect() as sock:
                for request, answer in zip(transcript.requests, transcript.each_answer, strict=True):
                    sock.sendall(request)
                    self.assertEqual(receive(sock), answer)
                self.assertEqual(receive_to_end(sock), b"")

    def test_whole_and_pipelined(self):
        for transcript in TRANSCRIPTS:
            with self.subTest(transcript=transcript.name), self.connect() as sock:
                sock.sendall(transcript.bytes)
                self.assertEqual(receive_to_end(sock), transcript.answers)

    def test_byte_by_byte(self):
        for transcript in TRANSCRIPTS:
            with self.subTest(transcript=transcript.name), self.connect() as sock:
                for at in range(len(transcript.bytes)):
                    sock.sendall(transcript.bytes[at:at + 1])
                self.assertEqual(receive_to_end(sock), transcript.answers)

    def test_split_at_every_position(self):
        """The tail of one copy goes out with the head of the next. The answer shows that the daemon has read both, so
        it saw the head alone: a cut that no buffering undoes."""
        for transcript in TRANSCRIPTS:
            with self.subTest(transcript=transcript.name), self.connect() as sock:
                for request, answer in zip(transcript.requests, transcript.each_answer, strict=True):
                    self.split_request(sock, request, answer)
                self.assertEqual(receive_to_end(sock), b"")

    def split_request(self, sock, request, answer):
        tail = b""
        for at in positions(request):
            sock.sendall(tail + request[:at])
            if tail and receive(sock) != answer:
                self.fail(f"cut {len(tail)} bytes before the end of {request!r}")
            tail = request[at:]
        sock.sendall(tail)
        self.assertEqual(receive(sock), answer)


class UnixTest(TransportCases, unittest.TestCase):
    def connect(self):
        return self.daemon.connect()


class InetTest(TransportCases, unittest.TestCase):
    def connect(self):
        sock = self.daemon.connect(self.daemon.port)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock


class ReplayTest(unittest.TestCase):
    """`policyctl replay` has the daemon's bytes."""

    def test_every_transcript(self):
        policyd = daemon(self)
        for transcript in TRANSCRIPTS:
            with self.subTest(transcript=transcript.name):
                self.assertEqual(policyd.ctl("replay", str(transcript.path)).stdout, transcript.answers.decode())

    def test_stdin(self):
        everything = b"".join(transcript.bytes for transcript in TRANSCRIPTS).decode()
        answers = b"".join(transcript.answers for transcript in TRANSCRIPTS).decode()
        self.assertEqual(daemon(self).ctl("replay", "-", stdin=everything).stdout, answers)


class DefaultStatesTest(unittest.TestCase):
    def test_other_states_are_not_judged(self):
        policyd = daemon(self, states=DEFAULT_STATES).start()
        for transcript in TRANSCRIPTS:
            expected = transcript.default_states_answers()
            with self.subTest(transcript=transcript.name), policyd.connect() as sock:
                sock.sendall(transcript.bytes)
                self.assertEqual(receive_to_end(sock), expected)
                self.assertEqual(policyd.ctl("replay", str(transcript.path)).stdout, expected.decode())


if __name__ == "__main__":
    unittest.main()
