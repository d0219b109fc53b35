"""What stands before brokers in production and the mock cluster lacks: TLS, by OpenSSL, and logins, by
`scramp` and by comparison. Behind a login it hands every byte to the broker and back."""

import socket
import socketserver
import struct
import threading

import scramp

API_VERSIONS, METADATA, HANDSHAKE, AUTHENTICATE = 18, 3, 17, 36
REFUSED, UNKNOWN_MECHANISM, ILLEGAL_STATE = 58, 33, 34
# What it offers: api, lowest, highest.
OFFERED = [(0, 3, 7), (METADATA, 0, 4), (HANDSHAKE, 0, 1), (API_VERSIONS, 0, 3), (AUTHENTICATE, 0, 1)]


class Closed(Exception):
    pass


def read_exactly(stream, length):
    read = b""
    while len(read) < length:
        part = stream.recv(length - len(read))
        if not part:
            raise Closed
        read += part
    return read


def read_frame(stream):
    (length,) = struct.unpack(">i", read_exactly(stream, 4))
    return read_exactly(stream, length)


def write_frame(stream, body):
    stream.sendall(struct.pack(">i", len(body)) + body)


def text(value):
    encoded = value.encode()
    return struct.pack(">h", len(encoded)) + encoded


class Front(socketserver.ThreadingTCPServer):
    """One listener for one broker. `users` logs in by password, `tokens` by bearer."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, broker, tls=None, mechanism=None, users=None, tokens=None):
        self.broker, self.tls, self.mechanism = broker, tls, mechanism
        self.users, self.tokens = users or {}, tokens
        self.logins, self.refusals = 0, 0
        super().__init__(("127.0.0.1", 0), Session)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"localhost:{self.server_address[1]}"

    def close(self):
        self.shutdown()
        self.server_close()


class Session(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            self.stream = self.request
            if self.server.tls:
                self.stream = self.server.tls.wrap_socket(self.request, server_side=True)
            self.serve()
        except (Closed, OSError):
            pass

    def serve(self):
        is_in = self.server.mechanism is None
        exchange = None
        upstream = None
        while True:
            request = read_frame(self.stream)
            api, version, correlation = struct.unpack(">hhi", request[:8])
            (client_length,) = struct.unpack(">h", request[8:10])
            body = request[10 + max(client_length, 0) :]
            answer = None
            if api == API_VERSIONS:
                ranges = b"".join(struct.pack(">hhh", *offer) for offer in OFFERED)
                answer = struct.pack(">hi", 0, len(OFFERED)) + ranges
            elif is_in:
                if upstream is None:
                    host, port = self.server.broker.rsplit(":", 1)
                    upstream = socket.create_connection((host, int(port)))
                write_frame(upstream, request)
                response = read_frame(upstream)
                if api == METADATA:
                    response = self.with_own_address(response)
                write_frame(self.stream, response)
                continue
            elif api == HANDSHAKE:
                (length,) = struct.unpack(">h", body[:2])
                wanted = body[2 : 2 + length].decode()
                code = 0 if wanted == self.server.mechanism else UNKNOWN_MECHANISM
                exchange = self.login(wanted) if code == 0 else None
                answer = struct.pack(">hi", code, 1) + text(self.server.mechanism)
            elif api == AUTHENTICATE and exchange is not None:
                (length,) = struct.unpack(">i", body[:4])
                code, message, reply, is_in = exchange(body[4 : 4 + length])
                answer = struct.pack(">h", code)
                answer += text(message) if message else struct.pack(">h", -1)
                answer += struct.pack(">i", len(reply)) + reply
                if version >= 1:
                    answer += struct.pack(">q", 0)
            else:
                raise Closed  # As brokers do with whoever has not logged in.
            write_frame(self.stream, struct.pack(">i", correlation) + answer)

    def login(self, mechanism):
        """A function that takes each message of the exchange: code, message, reply, whether one is in."""
        if mechanism == "PLAIN":
            return self.plain
        if mechanism == "OAUTHBEARER":
            return self.bearer
        offered = scramp.ScramMechanism(mechanism)

        def of_user(name):
            if name not in self.server.users:
                raise scramp.ScramException("unknown user", "unknown-user")
            return offered.make_auth_info(self.server.users[name], iteration_count=4096)

        server = offered.make_server(of_user)

        def step(message):
            try:
                if server.stage is None:
                    server.set_client_first(message.decode())
                    return 0, None, server.get_server_first().encode(), False
                server.set_client_final(message.decode())
                return self.admitted(server.get_server_final().encode())
            except scramp.ScramException as error:
                return self.turned_away(str(error))

        return step

    def plain(self, message):
        _, name, password = message.decode().split("\0")
        if self.server.users.get(name) == password:
            return self.admitted()
        return self.turned_away("Authentication failed: Invalid username or password")

    def bearer(self, message):
        if message == b"\1":
            return self.turned_away("invalid_token")
        prefix, token, *rest = message.decode().split("\1")
        assert (prefix, rest) == ("n,,", ["", ""]), message
        if token.removeprefix("auth=Bearer ") in self.server.tokens():
            return self.admitted()
        return 0, None, b'{"status":"invalid_token"}', False

    def admitted(self, reply=b""):
        self.server.logins += 1
        return 0, None, reply, True

    def turned_away(self, reason):
        self.server.refusals += 1
        return REFUSED, reason, b"", False

    def with_own_address(self, response):
        """Clients shall come to this listener, not to the broker behind it."""
        (count,) = struct.unpack(">i", response[8:12])
        at, brokers = 12, b""
        for _ in range(count):
            node = response[at : at + 4]
            at += 4
            (length,) = struct.unpack(">h", response[at : at + 2])
            at += 2 + length + 4
            (rack,) = struct.unpack(">h", response[at : at + 2])
            end = at + 2 + max(rack, 0)
            brokers += node + text("localhost") + struct.pack(">i", self.server.server_address[1]) + response[at:end]
            at = end
        return response[:12] + brokers + response[at:]
