"""The proxy with TLS: what psql makes of it, names of hosts, and what a client of PostgreSQL 17 does (part of proxy_test.py)."""
import signal
import socket
import ssl
import struct
import subprocess
import time

import cluster

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def make_certificate(folder, name):
    """A certificate that signs itself, as argon.toml says how to make one."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "365", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=DNS:localhost,DNS:*.db.test,IP:127.0.0.1", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"],
                   check=True, capture_output=True)


def configure(c, **settings):
    """Lines for section [proxy], behind its first one."""
    config = c.dir / "argon.toml"
    lines = [line for line in config.read_text().splitlines() if not line.startswith("tls_")]
    at = lines.index("[proxy]") + 1
    config.write_text("\n".join(lines[:at] + [f"{key} = {value}" for key, value in settings.items()] + lines[at:]) + "\n")


def startup(**parameters):
    body = struct.pack("!i", 3 << 16) + b"".join(f"{key}\0{value}\0".encode() for key, value in parameters.items()) + b"\0"
    return struct.pack("!i", 4 + len(body)) + body


class Raw:
    """A client that says what it likes."""

    def __init__(self, place, direct_to=None, alpn=("postgresql",)):
        self.socket = socket.create_connection(place, timeout=30)
        if direct_to:
            context = ssl.create_default_context(cafile=direct_to[0])
            if alpn:
                context.set_alpn_protocols(list(alpn))
            self.socket = context.wrap_socket(self.socket, server_hostname=direct_to[1])

    def exactly(self, size):
        got = b""
        while len(got) < size:
            more = self.socket.recv(size - len(got))
            cluster.expect(more, f"the proxy closed the connection, behind {got}")
            got += more
        return got

    def message(self):
        kind, size = struct.unpack("!ci", self.exactly(5))
        return kind, self.exactly(size - 4)

    def until(self, wanted):
        seen = {}
        while wanted not in seen:
            kind, body = self.message()
            seen[kind] = body
        return seen


class Encrypted:
    def __init__(self, p, c):
        self.p, self.c = p, c
        words = dict(word.split("=") for word in p.place.split())
        self.place = words["host"], int(words["port"])
        self.plain = p.place

    def psql(self, host, database, text, root="one", mode="verify-full", check=True, more=""):
        """Through a host name that leads to the proxy's address."""
        self.p.place = self.plain.replace("host=", f"host={host} sslmode={mode} sslrootcert={self.c.dir}/{root}.crt hostaddr=")
        try:
            return self.p.psql(database, text, more, check)
        finally:
            self.p.place = self.plain

    def refused(self, wanted, *place, **more):
        done = self.psql(*place, "select 1", check=False, **more)
        cluster.expect(done.returncode != 0 and wanted in done.stderr, f"expected a refusal with '{wanted}', got: {done.stdout}{done.stderr}")


def wrong_files_are_named(c):
    configure(c, tls_cert='"one.crt"')
    said = c.argon("start", check=False)
    cluster.expect(said.returncode != 0 and "proxy.tls_key is missing" in said.stderr, f"a certificate without a key: {said.stderr}")
    configure(c, tls_cert='"none.crt"', tls_key='"one.key"')
    said = c.argon("start", check=False)
    cluster.expect(said.returncode != 0 and "none.crt" in said.stderr, f"no certificate: {said.stderr}")
    c.argon("stop")
    configure(c, tls_cert='"one.crt"', tls_key='"two.key"')
    said = c.argon("start", check=False)
    cluster.expect(said.returncode != 0 and "two.key: the key: it is not the certificate's" in said.stderr, f"another key: {said.stderr}")
    c.argon("stop")


def psql_trusts_it(e):
    cluster.expect("TLSv1.3" in e.psql("localhost", "main/postgres", "\\conninfo"), "it is not TLS 1.3")
    cluster.expect(e.psql("localhost", "main/postgres", "select count(*) from big", mode="require") == "200000", "no answer")
    for name in "main", "dev":
        cluster.expect(e.psql(f"{name}.db.test", "postgres", "select whose from t") == name, f"host {name}.db.test leads elsewhere")
    cluster.expect(e.psql("dev.db.test", "main/postgres", "select whose from t") == "main", "the database's name does not come first")
    cluster.expect(e.psql("dev.db.test", "postgres", "select whose from t", more="options='endpoint=main'") == "main", "options do not come first")
    e.refused("name an endpoint before the database", "other.db.test", "postgres")
    e.refused("name an endpoint before the database", "localhost", "postgres")
    e.refused("certificate verify failed", "main.db.test", "postgres", root="two")
    e.refused("does not match host name", "main.elsewhere", "postgres")
    text = "select string_agg(md5(i::text), '') from generate_series(1, 100000) i"
    cluster.expect(e.psql("main.db.test", "postgres", f"select md5(({text}))") == e.p.psql("main/postgres", f"select md5(({text}))"), "answers differ")
    cluster.expect(len(e.psql("main.db.test", "postgres", text)) == 3200000, "a large answer came damaged")
    e.psql("main.db.test", "postgres", "truncate big; copy big from stdin;\n" + "\n".join(map(str, range(200000))) + "\n\\.\n")
    cluster.expect(e.psql("main.db.test", "postgres", "select count(*), sum(i) from big") == "200000|19999900000", "COPY came damaged")
    cluster.expect(e.p.psql("main/postgres", "select 1", "sslmode=disable") == "1", "plain connections are refused, though nobody said so")


def passwords_pass(e):
    """SCRAM is between client and server, which does not see TLS, so there is no channel to bind to."""
    e.p.psql("main/postgres", "create role scrammer login password 'secret'")
    hba = e.c.dir / "endpoints" / "main" / "pgdata" / "pg_hba.conf"
    before = hba.read_text()
    hba.write_text("host all scrammer all scram-sha-256\n" + before)
    e.p.psql("main/postgres", "select pg_reload_conf(), pg_sleep(1)")
    try:
        for binding in "prefer", "disable":
            more = f"user=scrammer password=secret channel_binding={binding}"
            cluster.expect(e.psql("main.db.test", "postgres", "select current_user", more=more) == "scrammer", f"channel_binding={binding}")
        e.refused("channel binding is required, but server did not offer an authentication method that supports channel binding", "main.db.test", "postgres",
                  more="user=scrammer password=secret channel_binding=require")
        e.refused("password authentication failed", "main.db.test", "postgres", more="user=scrammer password=wrong")
    finally:
        hba.write_text(before)


def cancels_arrive(e):
    # libpq 15 sends them in the open, whatever the connection is.
    waiting = subprocess.Popen(["psql", "-X", "-d", f"{e.plain} sslmode=require dbname=main/postgres", "-c", "select pg_sleep(100)"], stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 30
    while e.p.psql("main/postgres", "select count(*) from pg_stat_activity where query like '%pg_sleep(100)%' and pid <> pg_backend_pid()") != "1":
        cluster.expect(time.monotonic() < end, "the query to cancel does not run")
    waiting.send_signal(signal.SIGINT)
    said = waiting.communicate(timeout=30)[1]
    cluster.expect("canceling statement due to user request" in said, f"the cancelled query said: {said}")
    # As libpq 17: TLS at once, and the same for the cancel request.
    trusted = e.c.dir / "one.crt", "main.db.test"
    client = Raw(e.place, trusted)
    client.socket.sendall(startup(user="cloud_admin", database="postgres"))
    key = client.until(b"Z")[b"K"]
    query = b"select pg_sleep(100)\0"
    client.socket.sendall(b"Q" + struct.pack("!i", 4 + len(query)) + query)
    time.sleep(1)
    cancel = Raw(e.place, trusted)
    cancel.socket.sendall(struct.pack("!ii", 8 + len(key), 80877102) + key)
    cluster.expect(cancel.socket.recv(1) == b"", "a cancel request was answered")
    cluster.expect(b"57014" in client.until(b"Z")[b"E"], "the query was not cancelled")


def strangers_are_told(e):
    # CVE-2021-23222: a startup packet in the open behind the request for TLS.
    client = Raw(e.place)
    client.socket.sendall(SSL_REQUEST + startup(user="cloud_admin", database="main/postgres"))
    kind, body = client.message()
    cluster.expect(kind == b"E" and b"received unencrypted data after SSL request" in body, f"stuffing was answered: {kind} {body}")
    trusted = e.c.dir / "one.crt", "main.db.test"
    try:
        client = Raw(e.place, trusted, alpn=("h2",))
        cluster.expect(False, "another protocol was taken")
    except ssl.SSLError as error:
        cluster.expect("NO_APPLICATION_PROTOCOL" in str(error).upper().replace(" ", "_"), f"another protocol: {error}")
    client = Raw(e.place, trusted, alpn=())
    try:
        client.socket.sendall(startup(user="cloud_admin", database="postgres"))
        cluster.expect(client.socket.recv(1) == b"", "TLS at once without ALPN was taken")
    except (ConnectionError, ssl.SSLError):
        pass


def a_certificate_is_replaced(e):
    one, two = [[(e.c.dir / f"{name}.{kind}").read_text() for kind in ("crt", "key")] for name in ("one", "two")]
    (e.c.dir / "used.crt").write_text(two[0])
    (e.c.dir / "used.key").write_text(two[1])
    cluster.expect(e.psql("main.db.test", "postgres", "select whose from t", root="two") == "main", "the new certificate is not used")
    e.refused("certificate verify failed", "main.db.test", "postgres", root="one")
    for damage, complaint in (lambda: (e.c.dir / "used.crt").write_text("nothing"), "there is none in PEM form"), (lambda: (e.c.dir / "used.crt").unlink(), "No such file"):
        damage()
        cluster.expect(e.psql("main.db.test", "postgres", "select whose from t", root="two") == "main", "the former certificate is gone")
        cluster.expect(complaint in e.c.tail("proxy/proxy.log"), f"the log does not say '{complaint}'")
    (e.c.dir / "used.crt").write_text(one[0])
    (e.c.dir / "used.key").write_text(one[1])
    cluster.expect(e.psql("main.db.test", "postgres", "select whose from t") == "main", "the first certificate is not back")


def only_tls(c, proxied):
    c.argon("stop")
    configure(c, tls_cert='"one.crt"', tls_key=f'"{c.dir}/one.key"', tls_required="true")
    c.argon("start")
    e = Encrypted(proxied(c), c)
    e.p.refused("main/postgres", "this proxy takes encrypted connections only", "sslmode=disable")
    cluster.expect(e.psql("main.db.test", "postgres", "select whose from t") == "main", "TLS is refused, too")
    cancels_arrive(e)
    c.argon("stop")


def check(c, proxied):
    """From a stopped cluster with endpoints main and dev to the same."""
    for name in "one", "two":
        make_certificate(c.dir, name)
    wrong_files_are_named(c)
    for kind in "crt", "key":
        (c.dir / f"used.{kind}").write_text((c.dir / f"one.{kind}").read_text())
    configure(c, tls_cert='"used.crt"', tls_key='"used.key"')
    c.argon("start")
    e = Encrypted(proxied(c), c)
    psql_trusts_it(e)
    passwords_pass(e)
    cancels_arrive(e)
    strangers_are_told(e)
    a_certificate_is_replaced(e)
    cluster.expect(e.p.status()["tls"], "the status does not say that there is TLS")
    only_tls(c, proxied)
