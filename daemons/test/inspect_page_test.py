#!/usr/bin/env python3
"""`argon inspect page` says of every page of a database with all access methods what the server's own pageinspect says of
it on a static endpoint at the same LSN. A static endpoint that has read nothing yet has the pages as the pageserver sent
them, without hint bits of its own."""
import json
import re

import cluster

SETUP = """create extension pageinspect;
create table t (i int primary key, x text, p point, n int);
create index t_x on t (x); create index t_gist on t using gist (p); create index t_spgist on t using spgist (p);
create index t_spgist_x on t using spgist (x); create index t_gin on t using gin (string_to_array(x, ' '));
create index t_hash on t using hash (n); create index t_brin on t using brin (i) with (pages_per_range = 2);
insert into t select i, repeat('word ' || i % 40 || ' ', i % 30), point(i % 100, i / 100), nullif(i % 7, 3) from generate_series(1, 4000) i;
update t set n = n + 1 where i % 11 = 0; delete from t where i % 5 = 0 or i between 1500 and 2200; vacuum (freeze) t;
update t set x = 'w' where i % 13 = 0; begin; select 1 from t where i < 100 for share; commit; begin; delete from t where i > 3800; rollback;
insert into t select i, 'pending', null, i from generate_series(20000, 20040) i;
create sequence s; select nextval('s'); select setval('s', 7000);
create table big (x text); alter table big alter x set storage external; insert into big select repeat('x', 30000);
create table empty (i int);
"""
# Per kind: what pageinspect says of a page, as one JSON value.
HEADER = """select row_to_json(h) from page_header(get_raw_page('{r}', '{f}', {b})) h"""
HEAP = """select coalesce(json_agg(h order by lp), '[]') from (select lp, lp_off, lp_flags, lp_len, t_xmin::text::bigint t_xmin,
    t_xmax::text::bigint t_xmax, t_field3, t_ctid::text, t_hoff, t_bits, encode(t_data, 'hex') t_data, t_infomask2 & 2047 natts,
    (select raw_flags from heap_tuple_infomask_flags(t_infomask, t_infomask2)) flags from heap_page_items(get_raw_page('{r}', {b}))) h"""
BTREE = """select json_build_object('stats', (select row_to_json(s) from bt_page_stats('{r}', {b}) s),
    'items', (select json_agg(i order by itemoffset) from (select itemoffset, ctid::text, itemlen, nulls, vars, replace(data, ' ', '') as data, dead,
              htid::text, tids::text[] from bt_page_items('{r}', {b})) i))"""
META = """select row_to_json(m) from bt_metap('{r}') m"""
GIN = """select row_to_json(s) from gin_page_opaque_info(get_raw_page('{r}', {b})) s"""
GIN_LEAF = """select coalesce(json_agg(i), '[]') from (select first_tid::text, nbytes, tids::text[] from gin_leafpage_items(get_raw_page('{r}', {b}))) i"""
GIN_META = """select row_to_json(m) from gin_metapage_info(get_raw_page('{r}', 0)) m"""
GIST = """select json_build_object('special', (select row_to_json(s) from gist_page_opaque_info(get_raw_page('{r}', {b})) s),
    'items', (select json_agg(i) from (select itemoffset, ctid::text, itemlen, dead, encode(key_data, 'hex') as data
              from gist_page_items_bytea(get_raw_page('{r}', {b}))) i))"""
HASH = """select json_build_object('special', (select row_to_json(s) from hash_page_stats(get_raw_page('{r}', {b})) s),
    'items', (select json_agg(i) from (select itemoffset, ctid::text, data from hash_page_items(get_raw_page('{r}', {b}))) i))"""
HASH_META = """select row_to_json(m) from hash_metapage_info(get_raw_page('{r}', 0)) m"""
HASH_TYPE = """select to_json(hash_page_type(get_raw_page('{r}', {b})))"""
BRIN_TYPE = """select to_json(brin_page_type(get_raw_page('{r}', {b})))"""
BRIN_META = """select row_to_json(m) from brin_metapage_info(get_raw_page('{r}', 0)) m"""
BRIN_REVMAP = """select json_agg(pages::text) from brin_revmap_data(get_raw_page('{r}', {b}))"""
BRIN_ITEMS = """select json_agg(i order by itemoffset) from (select distinct itemoffset, blknum, placeholder from brin_page_items(get_raw_page('{r}', {b}), '{r}')) i"""
FSM = """select to_json(fsm_page_contents(get_raw_page('{r}', 'fsm', {b})))"""
MAP = """select json_agg(json_build_array(blkno, all_visible, all_frozen)) from (select blkno, all_visible, all_frozen from
    generate_series(0, pg_relation_size('{r}') / 8192 - 1) blkno, lateral (select get_byte(get_raw_page('{r}', 'vm', 0), (24 + blkno / 4)::int) as byte) b,
    lateral (select (byte >> (blkno % 4 * 2)::int) & 1 = 1 as all_visible, (byte >> (blkno % 4 * 2 + 1)::int) & 1 = 1 as all_frozen) v) m"""

STATES = ["unused", "normal", "redirect", "dead"]
OIDS = "select oid from pg_database where datname = current_database()"


class Pages:
    def __init__(self, c, lsn):
        self.c, self.lsn, self.compared = c, lsn, {}
        self.db = c.sql("static", OIDS)

    def ask(self, query, relation, blocks=(0,), fork="main"):
        """The query's JSON answer for each block, in one session."""
        text = self.c.sql("static", ";\n".join(query.format(r=relation, b=block, f=fork) for block in blocks))
        answers = []
        while text:
            value, end = json.JSONDecoder().raw_decode(text)
            answers.append(value)
            text = text[end:].lstrip()
        cluster.expect(len(answers) == len(blocks), f"{len(answers)} answers for {len(blocks)} blocks of {relation}")
        return dict(zip(blocks, answers))

    def ours(self, relation, fork="main"):
        """What argon says of each page, the header compared."""
        node = self.c.sql("static", f"select pg_relation_filenode('{relation}')")
        name = f"1663/{self.db}/{node}" + ("" if fork == "main" else f"_{fork}")
        blocks = range(int(self.c.sql("static", f"select pg_relation_size('{relation}', '{fork}') / 8192")))
        pages = {}
        for block, stock in self.ask(HEADER, relation, blocks, fork).items():
            page = self.c.argon_json("inspect", "page", "--relation", name, "--block", block, "--lsn", self.lsn)
            cluster.expect(page["block"] == block and page["fork"] == fork and page["faults"] == [], f"{relation} {block}: {page}")
            header = page["header"]
            names = {1: "PD_HAS_FREE_LINES", 2: "PD_PAGE_FULL", 4: "PD_ALL_VISIBLE"}
            self.same(f"header {relation} {block}", [header[k] for k in ("lower", "upper", "special", "page_size", "version", "checksum", "flags")] +
                      [lsn_of(header["lsn"]), str(header["prune_xid"])],
                      [stock[k] for k in ("lower", "upper", "special", "pagesize", "version", "checksum")] +
                      [[n for bit, n in names.items() if stock["flags"] & bit], lsn_of(stock["lsn"]), str(stock["prune_xid"])])
            pages[block] = page
        return pages

    def same(self, what, ours, stock):
        if ours != stock:
            at = next((f"item {i}: {a}\n{b}" for i, (a, b) in enumerate(zip(ours, stock)) if a != b), "") if isinstance(ours, list) else ""
            raise cluster.Failed(f"{what}\nargon: {str(ours)[:2000]}\npageinspect: {str(stock)[:2000]}\n{at}")
        kind = what.split()[0]
        self.compared[kind] = self.compared.get(kind, 0) + 1


def lsn_of(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def heap(pages, relation):
    ours = pages.ours(relation)
    for block, stock in pages.ask(HEAP, relation, list(ours)).items():
        items = [{"lp": i["line"], "lp_off": i["offset"], "lp_flags": STATES.index(i["state"]), "lp_len": i["length"],
                  "t_xmin": i.get("xmin"), "t_xmax": i.get("xmax"), "t_field3": i.get("field3"), "t_ctid": i.get("ctid"), "t_hoff": i.get("hoff"),
                  "t_bits": i.get("bits"), "t_data": i.get("data"), "natts": i.get("attributes"), "flags": i.get("infomask")}
                 for i in ours[block]["items"]]
        pages.same(f"heap {relation} {block}", items, stock)
    return ours


def btree(pages, relation):
    ours = pages.ours(relation)
    meta, stock = ours[0]["content"], pages.ask(META, relation)[0]
    pages.same(f"btree-meta {relation}", meta, {k: stock[k.replace("heap_", "")] for k in meta})
    for block, stock in pages.ask(BTREE, relation, list(ours)[1:]).items():
        special, stats = ours[block]["special"], stock["stats"]
        pages.same(f"btree-special {relation} {block}", [special["prev"], special["next"], special["level"]],
                   [stats["btpo_prev"], stats["btpo_next"], stats["btpo_level"]])
        if "BTP_DELETED" in special["flags"]:
            continue
        items = [{"itemoffset": i["line"], "ctid": i["ctid"], "itemlen": i["length"], "nulls": i["nulls"], "vars": i["vars"], "data": i["data"],
                  "dead": i["dead"], "htid": i.get("htid"), "tids": i.get("tids")} for i in ours[block]["items"]]
        # Of an item that is no heap tuple's, pageinspect has no opinion on whether it is dead.
        pages.same(f"btree {relation} {block}", items, [{**i, "dead": bool(i["dead"])} for i in stock["items"] or []])


def gin(pages, relation):
    ours = pages.ours(relation)
    meta, stock = ours[0]["content"], pages.ask(GIN_META, relation)[0]
    pages.same(f"gin-meta {relation}", meta, {k: stock[k] for k in meta})
    for block, stock in pages.ask(GIN, relation, list(ours)[1:]).items():
        special = ours[block]["special"]
        pages.same(f"gin {relation} {block}", [special["rightlink"], special["maxoff"], [f[4:].lower() for f in special["flags"]]],
                   [stock["rightlink"] % 2 ** 32, stock["maxoff"], stock["flags"]])
    leaves = [b for b, page in ours.items() if page["special"]["flags"] == ["GIN_DATA", "GIN_LEAF", "GIN_COMPRESSED"]]
    for block, stock in pages.ask(GIN_LEAF, relation, leaves).items():
        pages.same(f"gin-leaf {relation} {block}", [{k: i[k] for k in ("first_tid", "nbytes", "tids")} for i in ours[block]["items"]], stock)
    # pageinspect does not show what entries hold; a scan does.
    return {t for page in ours.values() for i in page["items"] for t in i.get("tids", [i.get("ctid")])}


def gist(pages, relation):
    ours = pages.ours(relation)
    names = {"leaf": "F_LEAF", "deleted": "F_DELETED", "tuples_deleted": "F_TUPLES_DELETED", "follow_right": "F_FOLLOW_RIGHT", "has_garbage": "F_HAS_GARBAGE"}
    for block, stock in pages.ask(GIST, relation, list(ours)).items():
        special, opaque = ours[block]["special"], stock["special"]
        pages.same(f"gist-special {relation} {block}", [special["rightlink"], special["flags"], lsn_of(special["nsn"])],
                   [opaque["rightlink"] % 2 ** 32, [names[f] for f in opaque["flags"]], lsn_of(opaque["nsn"])])
        # There a tuple's data begins with its header.
        pages.same(f"gist {relation} {block}", [[i["line"], i["ctid"], i["length"], i["dead"], i["data"]] for i in ours[block]["items"]],
                   [[i["itemoffset"], i["ctid"], i["itemlen"], i["dead"], i["data"][len(i["data"]) - len(o["data"]):]]
                    for o, i in zip(ours[block]["items"], stock["items"] or [], strict=True)])


def hash_index(pages, relation):
    ours = pages.ours(relation)
    meta, stock = ours[0]["content"], pages.ask(HASH_META, relation)[0]
    pages.same(f"hash-meta {relation}", {k: str(v) for k, v in meta.items() if k != "mapp"}, {k: str(float(stock[k]) if k == "ntuples" else stock[k]) for k in meta if k != "mapp"})
    cluster.expect(stock["mapp"][:meta["nmaps"]] == meta["mapp"], f"{meta} {stock}")
    used = [b for b, page in ours.items() if page["kind"] == "hash" and page["special"]["flag"]]
    for block, kind in pages.ask(HASH_TYPE, relation, used).items():
        pages.same(f"hash-type {relation} {block}", f"LH_{kind.removesuffix('page').upper()}_PAGE" in (ours[block]["special"]["flag"]), True)
    buckets = [b for b in used if {"LH_BUCKET_PAGE", "LH_OVERFLOW_PAGE"} & set(ours[b]["special"]["flag"])]
    for block, stock in pages.ask(HASH, relation, buckets).items():
        special = ours[block]["special"]
        pages.same(f"hash-special {relation} {block}", [special["prevblkno"], special["nextblkno"], special["bucket"], special["page_id"]],
                   [stock["special"]["hasho_" + k] for k in ("prevblkno", "nextblkno", "bucket", "page_id")])
        pages.same(f"hash {relation} {block}", [{"itemoffset": i["line"], "ctid": i["ctid"], "data": i["hash"]} for i in ours[block]["items"]], stock["items"] or [])


def brin(pages, relation):
    ours = pages.ours(relation)
    meta, stock = ours[0]["content"], pages.ask(BRIN_META, relation)[0]
    pages.same(f"brin-meta {relation}", meta, {k: stock[k] for k in meta})
    of_type = lambda wanted: [b for b, page in ours.items() if page["special"]["type"] == wanted]
    for block, stock in pages.ask(BRIN_TYPE, relation, list(ours)).items():
        pages.same(f"brin-type {relation} {block}", ours[block]["special"]["type"], stock)
    for block, stock in pages.ask(BRIN_REVMAP, relation, of_type("revmap")).items():
        pages.same(f"brin-revmap {relation} {block}", ours[block]["content"]["pages"], stock)
    for block, stock in pages.ask(BRIN_ITEMS, relation, of_type("regular")).items():
        items = [{"itemoffset": i["line"], "blknum": i["blknum"], "placeholder": i["placeholder"]} for i in ours[block]["items"] if i["state"] == "normal"]
        pages.same(f"brin {relation} {block}", items, [i for i in stock if i["blknum"] is not None])


def spgist(pages, relation):
    """pageinspect knows nothing of SP-GiST; the TIDs of its live tuples are the table's."""
    tids = set()
    for block, page in pages.ours(relation).items():
        cluster.expect(page["kind"] in ("spgist", "new"), f"{page}")
        tids |= {i["ctid"] for i in page["items"] if i.get("tuple_state") == "live" and "ctid" in i}
        if block > 0 and page["kind"] == "spgist" and page["items"] and "SPGIST_LEAF" not in page["special"]["flags"]:
            cluster.expect(any(i.get("nodes") for i in page["items"]), f"inner page {block} without nodes: {page['items'][:3]}")
    return tids


def maps(pages, relation):
    visible = pages.ours(relation, "vm")[0]["content"]
    stock = pages.ask(MAP, relation)[0]
    inside = lambda runs, b: any(first <= b <= last for first, last in runs)
    pages.same(f"vm {relation}", [[b, inside(visible["all_visible_blocks"], b), inside(visible["all_frozen_blocks"], b)] for b, _, _ in stock], stock)
    cluster.expect(visible["all_visible"] > 0 and visible["all_frozen"] > 0, f"{visible}")
    ours = pages.ours(relation, "fsm")
    for block, text in pages.ask(FSM, relation, list(ours)).items():
        nodes = {int(n): int(v) for n, v in re.findall(r"^(\d+): (\d+)$", text, re.M)}
        pages.same(f"fsm {relation} {block}", {4095 + i["slot"]: i["category"] for i in ours[block]["items"]}, {n: v for n, v in nodes.items() if n >= 4095})
        pages.same(f"fsm-root {relation} {block}", [ours[block]["content"][k] for k in ("root", "wrong_nodes")], [nodes.get(0, 0), 0])


def walk(c):
    c.start()
    c.tenant_and_endpoint("main")
    c.sql("main", SETUP)
    c.sql("main", "vacuum t; checkpoint; select pg_switch_wal(); create table last ()")
    lsn = c.sql("main", "select pg_current_wal_flush_lsn()")
    node = c.sql("main", "select pg_relation_filepath('t')")
    c.argon("endpoint", "create", "static", "--lsn", lsn)
    c.argon("endpoint", "start", "static")
    pages = Pages(c, lsn)
    table = heap(pages, "t")
    raw = bytes.fromhex(c.sql("static", "select encode(get_raw_page('t', 3), 'hex')"))  # before a scan leaves hint bits
    sequence = heap(pages, "s")[0]
    cluster.expect(sequence["kind"] == "sequence" and sequence["items"][0]["last_value"] == 7000 and sequence["items"][0]["is_called"] is True, f"{sequence}")
    for relation in ("t_pkey", "t_x"):
        btree(pages, relation)
    gist(pages, "t_gist")
    hash_index(pages, "t_hash")
    brin(pages, "t_brin")
    maps(pages, "t")
    rows = lambda condition: set(c.sql("static", f"select ctid from t where {condition}").splitlines())
    # A row's later version on its own page is found through the line of an earlier one.
    hot = {f"({block},{i['line']})" for block, page in table.items() for i in page["items"] if "HEAP_ONLY_TUPLE" in i.get("infomask", [])}
    for relation, condition in (("t_gin", "x <> ''"), ("t_spgist", "p is not null"), ("t_spgist_x", "true")):
        indexed, found = rows(condition) - hot, (gin if relation == "t_gin" else spgist)(pages, relation)
        cluster.expect(len(indexed) > 1000 and indexed <= found, f"{relation}: rows that no tuple names: {indexed - found}")
    print("compared:", pages.compared)
    wanted = {"heap", "btree", "btree-meta", "gin", "gin-leaf", "gin-meta", "gist", "hash", "hash-meta", "brin", "brin-revmap", "vm", "fsm"}
    cluster.expect(wanted <= set(pages.compared), f"only {pages.compared}")

    # Of a file, in text, and what is refused.
    text = c.argon("inspect", "page", "--relation", f"1663/{pages.db}/{node.split('/')[-1]}", "--lsn", lsn).stdout
    cluster.expect("kind: heap" in text and "HEAP_XMIN_COMMITTED" in text and f"at_lsn: {lsn}" in text, text)
    file = c.root / "16384.1"
    file.write_bytes(bytes(8192) + raw)
    of_file = c.argon_json("inspect", "page", file, "--block", 1)
    cluster.expect(of_file["block"] == 131073 and of_file["items"] == table[3]["items"], f"{of_file}")
    beyond = c.argon("inspect", "page", file, "--block", 2, check=False)
    cluster.expect(beyond.returncode == 1 and "ends before block 2" in beyond.stderr, beyond.stderr)
    broken = bytearray(raw)
    broken[26:28] = b"\xff\xff"
    file.write_bytes(broken)
    damaged = c.argon("inspect", "page", file, check=False)
    cluster.expect(damaged.returncode == 1 and "FAULT: line 1 points outside" in damaged.stdout and "does not add up" in damaged.stderr, damaged.stdout + damaged.stderr)
    nothing = c.argon("inspect", "page", "--relation", f"1663/{pages.db}/99999", check=False)
    cluster.expect(nothing.returncode == 1 and f"1663/{pages.db}/99999:0: that fork has 0 blocks" in nothing.stderr, nothing.stderr)


cluster.run("inspect_page", walk)
