#!/usr/bin/env python3
"""A cluster whose object store is s3rver (npm), an S3 server of somebody else's.

First the claims of core/objstore/contract over HTTP, with parts, ranges, pages and deletion of many (but for two, see CLAIMS); then a cluster over HTTPS: SQL, a branch, restarts of all and of s3rver, the pageserver rebuilt on an empty disk, scrub, a timeline
deleted. s3rver ignores If-None-Match, so init must refuse it unless told otherwise.

Needs the package registry (npm); exit status 77, skipped, without it. s3rver is given a folder and ended by its pid.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import cluster
import proxy_tls

S3RVER = "s3rver@3.7.1"
KEYS = {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER"}
BUCKET = "argon-test"
SKIPPED = 77
# Not held by s3rver: two who put one key at once; the byte order of whole keys, where a file's name begins as a folder's.
CLAIMS = "S3Stores.*-S3Stores.OneOfManyPutsIfAbsentWins:S3Stores.ListInKeyOrderPageByPage"
# Its continuation tokens use a cipher that OpenSSL 3 counts as legacy.
NODE = ["node", "--openssl-legacy-provider"]


def install(folder):
    """s3rver's program; None (and why) where it cannot be had."""
    if not shutil.which("npm") or not shutil.which("node"):
        return None, "npm or node is not installed"
    words = ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", S3RVER]
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=100)
    except subprocess.TimeoutExpired:
        return None, f"npm did not install {S3RVER} in 100 s"
    if done.returncode != 0:
        return None, f"npm cannot install {S3RVER}: {done.stderr.strip()[-300:]}"
    return folder / "node_modules/s3rver/bin/s3rver.js", None


class S3rver:
    def __init__(self, program, c):
        self.program = program
        self.folder = c.root / "s3rver"
        self.folder.mkdir()
        self.port = c.first_port + 39
        self.log = c.root / "s3rver.log"
        self.process = None
        proxy_tls.make_certificate(c.root, "s3rver")
        self.certificate, self.key = c.root / "s3rver.crt", c.root / "s3rver.key"
        self.encrypted = False

    @property
    def endpoint(self):
        return f"{'https' if self.encrypted else 'http'}://127.0.0.1:{self.port}"

    def start(self, encrypted=None):
        if encrypted is not None:
            self.encrypted = encrypted
        tls = ["--key", str(self.key), "--cert", str(self.certificate)] if self.encrypted else []
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([*NODE, str(self.program), "-d", str(self.folder), "-a", "127.0.0.1", "-p", str(self.port),
                                             "--configure-bucket", BUCKET, *tls], stdout=log, stderr=log)
        for _ in range(600):
            if "listening" in self.log.read_text()[-4000:] or self.process.poll() is not None:
                break
            time.sleep(0.05)
        cluster.expect(self.process.poll() is None, f"s3rver ended: {self.log.read_text()[-2000:]}")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.log.write_text("")

    def keys(self, below):
        """Objects below a prefix: s3rver keeps each as a file."""
        root = self.folder / BUCKET
        suffix = "._S3rver_object"
        names = (str(p.relative_to(root))[:-len(suffix)] for p in root.rglob("*" + suffix))
        return sorted(name for name in names if name.startswith(below))


def wait_for(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)
    raise cluster.Failed(f"in vain: {what}")


def holds_claims(s3):
    environment = dict(os.environ, ARGON_TEST_S3_ENDPOINT=s3.endpoint, ARGON_TEST_S3_BUCKET=BUCKET)
    done = subprocess.run([str(cluster.TOOLS / "posix_contract_test"), f"--gtest_filter={CLAIMS}"], env=environment, capture_output=True,
                          text=True, timeout=120)
    cluster.expect(done.returncode == 0 and "[  PASSED  ]" in done.stdout, f"the object store's claims on s3rver:\n{done.stdout[-6000:]}")
    print(done.stdout.strip().splitlines()[-1])


def refused(c, says, *words):
    done = c.argon("init", "--first-port", c.first_port, *words, check=False)
    cluster.expect(done.returncode == 1 and says in done.stderr, f"'{says}' is not said: {done.stderr}")
    cluster.expect(not c.dir.exists(), "a refused init made something")


def cluster_on(s3, c):
    believed = ["--s3-ca-file", str(s3.certificate)]
    place = ["--object-store", f"s3://{BUCKET}/some/prefix", "--s3-endpoint", s3.endpoint, *believed]
    refused(c, "ignores If-None-Match", *place)
    refused(c, "NoSuchBucket", "--object-store", "s3://no-such-bucket", "--s3-endpoint", s3.endpoint, *believed, "--s3-no-conditional-put")
    refused(c, "self-signed certificate", *place[:4])
    refused(c, "install the package ca-certificates", *place[:4], "--s3-ca-file", "not-there.crt")
    refused(c, "there is none in PEM form", *place[:4], "--s3-ca-file", s3.key)
    refused(c, "needs --s3-endpoint", *place[:2])
    c.start(*place, "--s3-no-conditional-put")
    c.tenant_and_endpoint()
    c.sql("main", "create table t as select g, md5(g::text) as m from generate_series(1, 30000) g")
    s3.kill()
    # Commits need no object store.
    c.sql("main", "insert into t select g, md5(g::text) from generate_series(30001, 31000) g")
    s3.start()
    c.argon("timeline", "branch", "--branch-name", "b")
    c.create_endpoint("b", branch="b")
    c.argon("endpoint", "start", "b")
    c.sql("b", "delete from t where g % 2 = 0")
    c.sql("main", "insert into t values (0, 'zero')")
    c.argon("stop")
    objects = s3.keys("some/prefix/")
    for part in ("/index-", "/generation-", "some/prefix/wal/"):
        cluster.expect(any(part in key for key in objects), f"no object with {part} among {objects}")
    cluster.expect(not any(c.dir.glob("object_store")), "there is a folder as well")
    shutil.rmtree(c.dir / "pageserver_1" / "data")
    c.argon("start")
    for name, rows in (("main", "31001"), ("b", "15500")):
        c.argon("endpoint", "start", name)
        found = c.sql(name, "select count(*) from t where m = md5(g::text) or g = 0")
        cluster.expect(found == rows, f"{name} has {found} of {rows} rows")
    scrub(s3, c)
    delete_branch(s3, c)


def scrub(s3, c):
    cluster.expect(c.argon_json("scrub")["findings"] == [], "scrub of a whole cluster")
    layer = next(key for key in s3.keys("some/prefix/tenants/") if "__" in key)
    file = s3.folder / BUCKET / (layer + "._S3rver_object")
    whole = file.read_bytes()
    file.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    done = c.argon("scrub", check=False)
    cluster.expect(done.returncode == 1 and f"file s3://{BUCKET}/{layer}: " in done.stdout, f"scrub of a flipped bit:\n{done.stdout}{done.stderr}")
    file.write_bytes(whole)


def delete_branch(s3, c):
    timelines = {one["branch_name"]: one["timeline_id"] for one in branches(c)}
    here = f"/timelines/{timelines['b']}/"
    cluster.expect(any(here in key for key in s3.keys("some/prefix/tenants/")), "the branch has objects")
    c.argon("timeline", "delete", "--branch-name", "b", "--force")
    wait_for("the branch's objects are removed", lambda: not any(here in key for key in s3.keys("some/prefix/tenants/")))
    cluster.expect(c.sql("main", "select count(*) from t") == "31001", "main lost rows")


def branches(c):
    return c.argon_json("timeline", "list")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="argon-s3rver-", dir=os.environ.get("ARGON_TEST_TMP", "/tmp")))
    try:
        program, why = install(folder)
        if program is None:
            print(f"SKIPPED: {why}")
            return SKIPPED
        os.environ.update(KEYS)

        def test(c):
            s3 = S3rver(program, c)
            try:
                s3.start()
                holds_claims(s3)
                s3.kill()
                s3.start(encrypted=True)
                cluster_on(s3, c)
            finally:
                c.argon("stop", "--mode", "immediate", check=False)
                s3.kill()

        cluster.run("s3", test)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
