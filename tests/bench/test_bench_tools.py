"""The bench programs tell right from wrong: load against scripted servers, echo, gen.

Needs `make bench-programs`; BENCH_BUILD names another folder than build/bench.
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(os.environ.get("BENCH_BUILD", ROOT / "build" / "bench"))
DUNNO = b"action=DUNNO\n\n"
REQUESTS = b"request=a\nsender=x\n\nrequest=b\n\nrequest=c\nsender=z\n\n"


def tool(name, *arguments, **options):
    return subprocess.run([str(TOOLS / name), *map(str, arguments)], capture_output=True,
                          timeout=60, check=False, **options)


def result_of(done):
    return dict(word.split("=", 1) for word in done.stdout.decode().split())


@contextlib.contextmanager
def echo_server(address):
    with subprocess.Popen([str(TOOLS / "echo"), address], stdout=subprocess.PIPE) as process:
        try:
            if process.stdout.readline() != b"READY\n":
                raise AssertionError("echo is not ready")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(10)
    if status != 0:
        raise AssertionError(f"echo ended with {status}")


@contextlib.contextmanager
def scripted_server(path, converse):
    """Calls converse(connection, number) in a thread for each connection, counted from 1."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve(client, number):
            # the load generator may end before all is said
            with client, contextlib.suppress(OSError):
                converse(client, number)

        def accept():
            number = 0
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                number += 1
                threading.Thread(target=serve, args=(client, number), daemon=True).start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join(10)


def answer_all(answer):
    def converse(client, _number):
        while client.recv(65536):
            client.sendall(answer)
    return converse


class BenchToolsCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.socket = str(self.folder / "s")
        self.requests = self.folder / "requests"
        self.requests.write_bytes(REQUESTS)

    def load(self, *arguments):
        return tool("load", "-s", "unix:" + self.socket, "-f", self.requests, *arguments)

    def expect(self, text):
        path = self.folder / "answers"
        path.write_bytes(text)
        return ["-e", path]


class LoadTest(BenchToolsCase):
    def test_right_answers(self):
        with scripted_server(self.socket, answer_all(DUNNO)):
            done = self.load("-n", 3, "-r", 100, *self.expect(b"DUNNO\n" * 3))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(result_of(done)["requests"], "100")
        self.assertEqual(result_of(done)["wrong"], "0")

    def test_each_request_has_its_own_answer(self):
        due = {b"a": b"DUNNO", b"b": b"REJECT 5.7.1 no", b"c": b"DEFER later"}

        def converse(client, _number):
            while request := client.recv(65536):
                client.sendall(b"action=" + due[request[8:9]] + b"\n\n")
        answers = b"\n".join(due.values())
        with scripted_server(self.socket, converse):
            right = self.load("-n", 2, "-r", 30, *self.expect(answers + b"\n"))
            unfinished_last_line = self.load("-r", 30, *self.expect(answers))
            wrong = self.load("-n", 2, "-r", 30, *self.expect(b"DUNNO\nDUNNO\nDEFER later\n"))
        self.assertEqual(right.returncode, 0, right.stderr)
        self.assertEqual(unfinished_last_line.returncode, 0, unfinished_last_line.stderr)
        self.assertEqual(wrong.returncode, 1)
        self.assertEqual(result_of(wrong)["wrong"], "10")
        self.assertIn(b"wrong answer to request 2", wrong.stderr)

    def test_malformed_answers_are_wrong(self):
        for answer in (b"action=\n\n", b"action=DUNNO\r\n\n\n", b"DUNNO\n\n", b"\n\n",
                       b"action=DUNNO\x01\n\n", b"action=D\n\naction=D\n\n", b"action=" +
                       b"x" * 9000 + b"\n\n"):
            with self.subTest(answer=answer[:40]):
                pathlib.Path(self.socket).unlink(missing_ok=True)
                with scripted_server(self.socket, answer_all(answer)):
                    done = self.load("-r", 3)
                self.assertEqual(done.returncode, 1, done.stderr)

    def test_answer_in_pieces(self):
        def converse(client, _number):
            while client.recv(65536):
                for byte in DUNNO:
                    client.sendall(bytes([byte]))
        with scripted_server(self.socket, converse):
            done = self.load("-n", 2, "-r", 20, *self.expect(b"DUNNO\n" * 3))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_close_in_the_middle_of_an_answer_is_wrong(self):
        def converse(client, number):
            if number == 1:
                client.recv(65536)
                client.sendall(b"action=DU")
            else:
                answer_all(DUNNO)(client, number)
        with scripted_server(self.socket, converse):
            done = self.load("-r", 5)
        self.assertEqual(done.returncode, 1, done.stderr)

    def test_close_without_answer_is_lost_and_asked_again(self):
        def converse(client, number):
            if number > 2:
                answer_all(DUNNO)(client, number)
            client.recv(65536)
        with scripted_server(self.socket, converse):
            done = self.load("-r", 5)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual((result_of(done)["requests"], result_of(done)["lost"]), ("5", "2"))

    def test_no_answer_is_a_time_out(self):
        def converse(client, number):
            if number > 1:
                answer_all(DUNNO)(client, number)
            while client.recv(65536):
                pass
        with scripted_server(self.socket, converse):
            done = self.load("-r", 5, "-t", 1)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual((result_of(done)["requests"], result_of(done)["timeouts"]), ("5", "1"))

    def test_large_request_arrives_whole(self):
        self.requests.write_bytes(b"request=" + b"x" * 1_000_000 + b"\n\n")
        sizes = []

        def converse(client, _number):
            size = 0
            while part := client.recv(65536):
                size += len(part)
                if part.endswith(b"\n\n"):
                    sizes.append(size)
                    size = 0
                    client.sendall(DUNNO)
        with scripted_server(self.socket, converse):
            done = self.load("-r", 3)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sizes, [1_000_010] * 3)

    def test_bad_usage(self):
        refused = [[], ["-r", 0], ["-d", "x"], ["-r", 1, "-d", 1], ["-r", 1, "-n", 0],
                   ["-r", 1, *self.expect(b"DUNNO\n")], ["-r", 1, *self.expect(b"D\n" * 4)],
                   ["-r", 1, "-f", self.folder / "absent"], ["-r", 1]]
        for arguments in refused:
            with self.subTest(arguments=arguments):
                self.assertEqual(self.load(*arguments).returncode, 2)

    def test_server_cpu_of_a_child_counts(self):
        with echo_server("unix:" + self.socket):
            done = self.load("-n", 4, "-d", 0.3, "-p", os.getpid())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(float(result_of(done)["server_cpu_us"]), 0)

    def test_quantiles_are_ordered(self):
        with echo_server("unix:" + self.socket):
            result = result_of(self.load("-n", 20, "-r", 20000))
        values = [float(result[key]) for key in ("p50_us", "p99_us", "p999_us", "max_us")]
        self.assertEqual(values, sorted(values))
        self.assertGreater(values[0], 1)


class EchoTest(BenchToolsCase):
    def exchange(self, pieces):
        with echo_server("unix:" + self.socket), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(self.socket)
            for piece in pieces:
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def test_pipelined(self):
        self.assertEqual(self.exchange([REQUESTS]), DUNNO * 3)

    def test_split_at_every_position(self):
        self.assertEqual(self.exchange(REQUESTS[i:i + 1] for i in range(len(REQUESTS))), DUNNO * 3)

    def test_unfinished_request_gets_no_answer(self):
        self.assertEqual(self.exchange([REQUESTS + b"request=d\n"]), DUNNO * 3)

    def test_client_that_reads_late(self):
        count = 200_000
        with echo_server("unix:" + self.socket), socket.socket(socket.AF_UNIX) as client:
            client.connect(self.socket)
            sender = threading.Thread(target=client.sendall, args=(b"a=b\n\n" * count,))
            sender.start()
            sender.join(1)
            client.settimeout(10)
            got = 0
            while got < count * len(DUNNO):
                got += len(client.recv(65536))
            sender.join()
        self.assertEqual(got, count * len(DUNNO))

    def test_inet(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = "inet:127.0.0.1:%d" % probe.getsockname()[1]
        with echo_server(address):
            done = tool("load", "-s", address, "-n", 10, "-r", 1000, "-f", self.requests)
        self.assertEqual(done.returncode, 0, done.stderr)


class AskerTest(BenchToolsCase):
    def ask(self, flags, *options):
        """Exit status; who was asked what: (port, id, question)."""
        asked = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))

            def serve():
                for _ in range(200):
                    packet, client = udp.recvfrom(512)
                    asked.append((client[1], packet[:2], packet[12:-15]))
                    udp.sendto(packet[:2] + flags + packet[4:], client)

            threading.Thread(target=serve, daemon=True).start()
            done = tool("asker", *options, "inet:127.0.0.1:%d" % udp.getsockname()[1], "zone.test",
                        200, 20)
        return done, asked

    def test_fresh_ports(self):
        for options in ((), ("-f",)):
            done, asked = self.ask(b"\x81\x80", *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertGreater(float(result_of(done)["rate"]), 0)
            self.assertEqual({name for _, _, name in asked},
                             {b"\x0d_mailchannels%cd%d\x04zone\x04test\0" % (len(str(i)) + 1, i)
                              for i in range(200)})
            self.assertEqual(len({number for _, number, _ in asked}), 200)
            self.assertGreater(len({port for port, _, _ in asked}), 180)

    def test_wrong_answer(self):
        self.assertEqual(self.ask(b"\x81\x82")[0].returncode, 1)

    def test_bad_usage(self):
        for arguments in ((), ("inet:127.0.0.1:53", "z", 1), ("nowhere", "z", 1, 1)):
            self.assertEqual(tool("asker", *arguments).returncode, 2)


class GenTest(BenchToolsCase):
    def generate(self, name, *arguments):
        folder = self.folder / name
        folder.mkdir()
        self.assertEqual(tool("gen", "-o", folder, *arguments).returncode, 0)
        return {path.name: path.read_text() for path in folder.iterdir()}

    def test_same_seed_same_bytes(self):
        first = self.generate("a", "-n", 500, "-q", 300, "-s", 7)
        self.assertEqual(first, self.generate("b", "-n", 500, "-q", 300, "-s", 7))
        self.assertNotEqual(first, self.generate("c", "-n", 500, "-q", 300, "-s", 8))

    def test_each_row_once(self):
        for rows in (2, 3, 7, 64, 1000):
            made = self.generate(str(rows), "-n", rows, "-q", 1)
            lines = made["table.csv"].splitlines()
            self.assertEqual(lines[0], "sender,owner,expires,comment")
            self.assertEqual(len({line.split(",")[0] for line in lines[1:]}), rows)
            self.assertEqual(len(lines), rows + 1)

    def test_answers_agree_with_the_table(self):
        made = self.generate("a", "-n", 1000, "-q", 2000)
        owners = dict(line.split(",")[:2] for line in made["table.csv"].splitlines()[1:])
        answers = made["answers.txt"].splitlines()
        requests = made["requests.txt"].split("\n\n")[:-1]
        self.assertEqual(len(requests), len(answers))
        for text, answer in zip(requests, answers):
            request = dict(line.split("=", 1) for line in text.splitlines())
            self.assertEqual(len(request), 29)
            sender, login = request["sender"], request["sasl_username"]
            bare = sender.replace("+lists", "")
            refused = sender and login and owners.get(bare) != login
            due = "DUNNO"
            if refused:
                due = f"REJECT 5.7.1 Sender address rejected: not owned by user {login}"
            self.assertEqual(answer, due)
        self.assertGreater(sum(answer != "DUNNO" for answer in answers), 100)

    def test_kinds_visit_each_domain_in_turn(self):
        for kind, due in (("own", "DUNNO"), ("foreign", "REJECT ")):
            made = self.generate(kind, "-n", 60, "-q", 60, "-D", 60, "-k", kind, "-z", "zone.test")
            requests = made["requests.txt"].split("\n\n")[:-1]
            logins = [dict(line.split("=", 1) for line in text.splitlines())["sasl_username"]
                      for text in requests]
            self.assertEqual([login.partition("@")[2] for login in logins],
                             [f"d{i}.zone.test" for i in range(60)])
            answers = made["answers.txt"].splitlines()
            self.assertEqual(len(answers), 60)
            self.assertTrue(all(answer.startswith(due) for answer in answers))

    def test_bad_usage(self):
        for extra in (["-k", "other"], ["-z", ""], ["-z", "x" * 17]):
            self.assertEqual(tool("gen", "-n", 2, "-q", 1, "-o", self.folder, *extra).returncode, 2)


class ClaimsTest(BenchToolsCase):
    def fill(self, count, age_s):
        done = tool("claims", self.folder, "fill", count, "zone.test", age_s)
        self.assertEqual(done.returncode, 0, done.stderr)
        return dict(line.split() for line in done.stdout.decode().splitlines())

    def test_each_domain_has_a_token(self):
        tokens = self.fill(700, 0)
        self.assertEqual(set(tokens), {f"d{2 * i}.zone.test" for i in range(700)} |
                         {"probe.zone.test"})
        self.assertEqual(len(set(tokens.values())), 701)
        self.assertEqual({len(token) for token in tokens.values()}, {32})
        self.assertEqual(self.fill(700, 0), tokens)

    def test_round(self):
        self.fill(700, 2 * 86_400)
        self.assertEqual(tool("claims", self.folder, "round", 0).returncode, 1)
        with subprocess.Popen([str(TOOLS / "claims"), str(self.folder), "round", "30"],
                              stdout=subprocess.PIPE) as watch:
            self.assertEqual(watch.stdout.readline(), b"READY\n")
            self.fill(300, 0)
            self.assertIsNone(watch.poll())
            self.fill(700, 0)
            self.assertRegex(watch.stdout.readline(), rb"^seconds=[0-9.]+\n$")
        self.assertEqual(watch.returncode, 0)

    def test_nothing_is_due(self):
        self.fill(10, 0)
        done = tool("claims", self.folder, "round", 5)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"nothing is due", done.stderr)

    def test_bad_usage(self):
        for arguments in ((), (self.folder, "fill", 1, "z"), (self.folder, "fill", "x", "z", 0),
                          (self.folder, "round", "soon"), (self.folder, "other", 1)):
            self.assertEqual(tool("claims", *arguments).returncode, 2)


if __name__ == "__main__":
    unittest.main()
