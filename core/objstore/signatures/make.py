#!/usr/bin/env python3
"""What botocore (Debian's python3-botocore) signs of a few requests, as JSON for s3_signature_test.cc.

usage: make.py            prints it (as botocore.json beside this file is)
       make.py --check    fails where that is another; exit status 77 without botocore
"""
import datetime
import json
import pathlib
import sys

try:
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials
except ImportError:
    print("botocore is not installed (Debian: python3-botocore)")
    sys.exit(77)

KEYS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
LAYER = "tenants/0123456789abcdef0123456789abcdef/timelines/fedcba9876543210fedcba9876543210/layer-00000001"

# method, path, query, headers, body, date, region, session token
REQUESTS = [
    ("GET", f"/bucket/{LAYER}", {}, {}, "", "2026-11-29T12:00:00", "us-east-1", ""),
    ("GET", f"/bucket/p/q/{LAYER}", {}, {"range": "bytes=8192-16383"}, "", "2024-02-29T23:59:59", "eu-central-1", ""),
    ("HEAD", "/bucket/a", {}, {}, "", "2000-01-01T00:00:00", "us-east-1", ""),
    ("PUT", "/bucket/a/b", {}, {"if-none-match": "*"}, "claimed", "2026-12-31T23:59:59", "us-east-1", "FwoGZXIvYXdzEBYaDH7/+=="),
    ("PUT", "/bucket/a/empty", {}, {}, "", "2027-03-01T01:02:03", "us-east-1", ""),
    ("PUT", "/bucket/a/b", {"partNumber": "10", "uploadId": "VXBs+b2Fk/SUQ=~._-"}, {}, "0123456789", "2026-11-29T12:00:00", "us-east-1", ""),
    ("POST", "/bucket/a/b", {"uploads": ""}, {}, "", "2026-11-29T12:00:00", "auto", ""),
    ("POST", "/bucket/a/b", {"uploadId": "x y&z=1"}, {"if-none-match": "*"}, "<a/>", "2026-11-29T12:00:00", "us-east-1", ""),
    ("DELETE", "/bucket/a/b", {"uploadId": "abc"}, {}, "", "2026-11-29T12:00:00", "us-east-1", ""),
    ("GET", "/bucket", {"list-type": "2", "prefix": "wal/", "max-keys": "1000"}, {}, "", "2026-11-29T12:00:00", "us-east-1", ""),
    ("GET", "/bucket", {"list-type": "2", "prefix": "p q/ü+*'", "max-keys": "7", "start-after": "p q/ü+/a~b:c,d"}, {}, "",
     "1999-12-31T23:59:59", "us-east-1", ""),
    ("POST", "/bucket", {"delete": ""}, {"content-md5": "Q2hlY2sgSW50ZWdyaXR5IQ=="}, "<Delete/>", "2026-11-29T12:00:00", "us-east-1", ""),
]


def signed(method, path, query, headers, body, date, region, token):
    now = datetime.datetime.fromisoformat(date)

    class Clock(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return now

        @classmethod
        def now(cls, tz=None):
            return now.replace(tzinfo=tz)

    class Module:
        datetime = Clock

    botocore.auth.datetime = Module
    botocore.auth.get_current_datetime = lambda *_, **__: now
    host = "localhost:9000"
    request = botocore.awsrequest.AWSRequest(method=method, url=f"http://{host}{path}", params=query, data=body.encode(),
                                             headers={**headers, "host": host})
    credentials = botocore.credentials.Credentials(*KEYS, token or None)
    botocore.auth.S3SigV4Auth(credentials, "s3", region).add_auth(request)
    assert request.headers["X-Amz-Date"] == now.strftime("%Y%m%dT%H%M%SZ"), request.headers["X-Amz-Date"]
    return {"method": method, "host": host, "path": path, "query": query, "headers": headers, "body": body,
            "seconds": int(now.replace(tzinfo=datetime.timezone.utc).timestamp()), "region": region,
            "access_key": KEYS[0], "secret_key": KEYS[1], "session_token": token,
            "amz_date": request.headers["X-Amz-Date"], "payload_sha256": request.headers["X-Amz-Content-SHA256"],
            "authorization": request.headers["Authorization"]}


def main():
    text = json.dumps([signed(*one) for one in REQUESTS], indent=1, ensure_ascii=False) + "\n"
    if sys.argv[1:] != ["--check"]:
        print(text, end="")
        return
    kept = pathlib.Path(__file__).with_name("botocore.json").read_text()
    if kept != text:
        sys.exit("botocore signs otherwise than botocore.json has it: run make.py and compare")
    print(f"botocore {botocore.__version__} signs {len(REQUESTS)} requests as botocore.json has it")


if __name__ == "__main__":
    main()
