#!/usr/bin/env python3
"""Takes each rule of the README's table out of a copy of the extension, and runs the test that must notice.

usage: pgext/test/without_rules.py [--build build/release] [RULE ...]

Prints a table: rule, test, seconds, and what the test said. Exit status 1 where a test passed without its rule (or the
rule's text is not in the source any more, which is to be mended here). Nothing of the tree is changed.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent

# rule: (test, file, what stands there, what is put in its place)
RULES = {
    "cycle_id": ("cycle_id", "page_class.c",
                 "has_cycle_id(page)) return LOCAL_CYCLE_ID;", "has_cycle_id(page)) return LOCAL_FOR_NOTHING;"),
    "init_fork_makes_local": ("unlogged", "smgr.c",
                              "    relation_locality_changed();\n  }\n  shadow_forget", "  }\n  shadow_forget"),
    "builds_end": ("unlogged", "smgr.c",
                   "    local_pages_clear_range(node, MAIN_FORKNUM, 0, stub_blocks(node, MAIN_FORKNUM));\n", ""),
    "images_of_builds": ("image_fallback", "smgr.c", "if (!is_redo) fetch_images(reln);", "(void)fetch_images;"),
    "never_logged": ("index_builds", "page_class.c",
                     "if (was_never_logged(PageGetLSN(page))) return LOCAL_UNLOGGED;", "(void)was_never_logged;"),
    "command_ids": ("command_ids", "page_class.c",
                    "has_running_tuples(page) ? LOCAL_COMMAND_IDS : LOCAL_FOR_NOTHING", "LOCAL_FOR_NOTHING"),
    "sequence": ("sequence", "page_class.c", "is_sequence(block, page)) return LOCAL_SEQUENCE;",
                 "is_sequence(block, page)) return LOCAL_FOR_NOTHING;"),
    "fsm_in_shutdown": ("dirty_fsm", "evict.c", "XLogInsertAllowed() && !shutting_down() &&", "XLogInsertAllowed() &&"),
    "vm_request_lsn": ("vm_bits_cleared", "smgr.c",
                       "if (fork == VISIBILITYMAP_FORKNUM) return argon_insert_lsn();", ""),
    "all_visible_flag": ("vm_flag_set", "page_class.c",
                         "return fork == MAIN_FORKNUM && PageIsAllVisible(page);", "return false;"),
    "create_database": ("file_copy_behind", "ddl_hook.c",
                        "if (IsA(statement, CreatedbStmt)) last_written_lsn_raise_default(argon_insert_lsn());", ""),
    "move_database": ("file_copy_behind", "ddl_hook.c",
                      "if (moving == NULL) return;\n  last_written_lsn_raise_default(argon_insert_lsn());",
                      "if (moving == NULL) return;"),
    "written_lsn": ("set_tablespace", "evict.c",
                    "if (lsn >= (XLogRecPtr)wal_segment_size) last_written_lsn_set(node, fork, block, lsn);", ""),
    "truncate_without_network": ("truncate", "smgr.c",
                                 "static void argon_truncate(SMgrRelation reln, ForkNumber fork, BlockNumber old_blocks, BlockNumber nblocks) {\n",
                                 "static void argon_truncate(SMgrRelation reln, ForkNumber fork, BlockNumber old_blocks, BlockNumber nblocks) {\n"
                                 "  if (!checking) (void)page_client_exists(reln->smgr_rnode.node, fork, 0);\n"),
    "image_fallback": ("image_fallback", "evict.c",
                       "  log_image(node, fork, block, page);\n  argon_count(ARGON_IMAGES_LOGGED);",
                       "  argon_count(ARGON_IMAGES_LOGGED);"),
    "sequences_beyond_the_bound": ("image_fallback", "local_pages.c", "reason != LOCAL_SEQUENCE &&", "true &&"),
    "backpressure": ("backpressure", "backpressure.c", "|| !too_far_behind()) return;", "|| too_far_behind() || true) return;"),
    "inserted_counts": ("backpressure", "backpressure.c",
                        "Max(pg_atomic_read_u64(&argon_shared->shipped_lsn), XactLastRecEnd)",
                        "pg_atomic_read_u64(&argon_shared->shipped_lsn)"),
    "commit_hold": ("commit_hold", "commit_hold.c", "if (held || !IsUnderPostmaster) return;", "if (held || IsUnderPostmaster) return;"),
    "decode_hold": ("decode_hold", "decode_hold.c", "  wait_for_quorum(record->endptr);", "  (void)wait_for_quorum;"),
    "own_slot_hidden": ("own_slot", "own_slot.c", "if (is_null || strcmp(NameStr(*DatumGetName(name)), ARGON_SLOT) != 0)", ""),
    "own_slot_counts": ("own_slot", "own_slot.c", "  add_one();", "  (void)add_one;"),
    "pages_of_another": ("cut_off", "smgr.c", "  if (PageGetLSN(page) <= own) return;\n", "  return;\n"),
    "statements_need_a_lease": ("read_lease", "read_lease.c", "  read_lease_wait();\n  if (next_executor_start", "  if (next_executor_start"),
    "utilities_need_a_lease": ("read_lease", "ddl_hook.c", "if (!needs_no_lease(statement)) read_lease_wait();", "(void)needs_no_lease;"),
    "stale_prefetch": ("prefetch", "page_pipeline.c",
                       "if (written <= slot->request.not_modified_since) return i;", "return i;"),
    "read_ahead": ("prefetch", "smgr.c", "if (fork == MAIN_FORKNUM) read_ahead(reln, block);", ""),
    "prefetch_calls": ("prefetch", "smgr.c",
                       "(void)page_client_prefetch(node, fork, block, argon_not_modified_since(node, fork, block));", ""),
    "prefetch_needs_quorum": ("prefetch_held_back", "page_client.c", "if (!has_quorum(written)) return false;",
                              "(void)has_quorum;"),
    "cancelled_keeps_place": ("prefetch_interrupted", "page_pipeline.c", "  received++;\n", "  received += 1 + !slot->wanted;\n"),
    "cache_forgets_kept_pages": ("file_cache", "evict.c",
                                "    file_cache_forget(node, fork, block, block + 1);\n", "    {}\n"),
    "cache_forgets_file_copies": ("file_cache_names", "ddl_hook.c",
                                  "if (copies_files(statement)) file_cache_forget_all();", "(void)copies_files;"),
    "cache_forgets_moved": ("file_cache_names", "ddl_hook.c",
                            "OidIsValid(affected->database)) {\n    file_cache_forget_database(affected->database);\n"
                            "    shadow_forget",
                            "OidIsValid(affected->database)) {\n    shadow_forget"),
    "cache_fill_overtaken": ("file_cache_fill", "file_cache.c",
                             "if (miss->set == number_of(set) && miss->writes == set_writes[miss->set]) put", "put"),
    "cache_keeps_a_part": ("file_cache_insertion", "file_cache.c", "pg_atomic_read_u32(&cache->always_ahead) > DUEL_LEAD / 2);", "true);"),
    "cache_lets_in_what_is_new": ("file_cache_insertion", "file_cache.c",
                                  "pg_atomic_read_u32(&cache->always_ahead) > DUEL_LEAD / 2);", "false);"),
    "cache_stores_as_it_fills": ("file_cache_insertion", "file_cache.c", " || lets_in(number_of(set)))) {", " || true)) {"),
    "cache_empties_on_resize": ("file_cache_load", "file_cache.c", "  clear_all();\n  cache->size_mb", "  cache->size_mb"),
    "cache_error_turns_off": ("file_cache", "file_cache.c", "    clear(entry);\n    turn_off(\"written\");", "    ereport(ERROR, (errmsg(\"argon cache: %m\")));"),
    "cache_needs_its_lsn": ("file_cache_restart", "file_cache.c", "if (map->header.lsn != lsn)", "if (false)"),
    "cache_needs_the_checkpoint": ("file_cache_restart", "wal_ship.c", "ship_the_rest(end) && pages_are_written(end)", "ship_the_rest(end)"),
    "cache_needs_its_timeline": ("file_cache_restart", "cache_map.c", "  *problem = what_is_wrong(&map->header);", "  *problem = NULL;"),
    "cache_needs_its_checksum": ("file_cache_restart", "file_cache.c", "if (here && checksum_of(page) != checksum) {", "if (false) {"),
    "map_needs_its_checksum": ("file_cache_restart", "cache_map.c", "if (memcmp(&crc, whole + bytes - sizeof(crc), sizeof(crc)) == 0) return whole;", "return whole;"),
    "prewarm_keeps_its_list": ("prewarm", "file_cache.c", "  else if (prewarmed)\n", "  else\n"),
    "prewarm_asks_for_what_there_is": ("prewarm", "prewarm.c", "yes = block < blocks_of(node, fork) && local", "yes = local"),
    "prewarm_is_held_back": ("prewarm_names", "prewarm.c", "pg_atomic_read_u32(&prewarm->held_back) != 0 || !can", "!can"),
    "local_means_on": ("commit_hold", "guc.c",
                       "if (*value == SYNCHRONOUS_COMMIT_LOCAL_FLUSH) *value = SYNCHRONOUS_COMMIT_REMOTE_FLUSH;", ""),
    "physical_walsenders": ("walsenders", "guard.c", "if (!am_db_walsender) refuse_physical(FATAL);", ""),
    "physical_commands": ("walsenders", "guard.c", "if (answers_physical_command(type)) refuse_physical(ERROR);",
                          "(void)answers_physical_command;"),
    "worker_logs_in_nowhere": ("held_back", "wal_worker.c", "  take_standby_place();\n",
                               '  BackgroundWorkerInitializeConnection("postgres", NULL, 0);\n  take_standby_place();\n'),
    "standby_name": ("walsenders", "guard.c",
                     'if (!am_walsender || *value == NULL || pg_strcasecmp(*value, "argon") != 0) return true;', "return true;"),
}


def output_of(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def compile_without(rule, work, pg_config):
    """The library without the rule, or what is wrong with trying."""
    _, name, text, instead = RULES[rule]
    copy = work / "pgext"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(SOURCE, copy)
    whole = (copy / name).read_text()
    if whole.count(text) != 1:
        return f"the rule's text is {whole.count(text)} times in {name}, not once"
    (copy / name).write_text(whole.replace(text, instead))
    made = subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-fwrapv", "-w", "-I", copy,
                           "-I", output_of([pg_config, "--includedir-server"]), "-I", output_of([pg_config, "--includedir"]),
                           "-o", work / "lib" / "new.so", *sorted(copy.glob("*.c")), "-lpq", "-ldl"],
                          capture_output=True, text=True)
    if made.returncode != 0:
        return "it does not compile: " + made.stderr[:2000]
    (work / "lib" / "new.so").replace(work / "lib" / "argon.so")
    return None


def run_case(work, case, bindir, label):
    return subprocess.run([HERE / "cluster.sh", case, work / "bin" / "argon", bindir], capture_output=True, text=True,
                          timeout=300, env=os.environ | {"ARGON_LABEL": label})


def what_it_said(text):
    """The line before the one that says that the case failed; of an answer of several lines, the first."""
    said = re.split(r"^case \S+ failed", text, maxsplit=1, flags=re.M)[0].strip().splitlines()
    first = [line for line in said if "got '" in line]
    return (first or said or ["(a statement failed)"])[-1][:100]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE.parent / "build" / "release")
    parser.add_argument("--pg-config", default="/usr/lib/postgresql/15/bin/pg_config")
    parser.add_argument("rule", nargs="*", metavar="RULE", help=", ".join(RULES))
    arguments = parser.parse_args()
    bindir = output_of([arguments.pg_config, "--bindir"])
    work = pathlib.Path(tempfile.mkdtemp(prefix="argon_without_rules."))
    work.chmod(0o755)
    for folder in ("bin", "lib"):
        (work / folder).mkdir(mode=0o755)
    shutil.copy2(arguments.build / "bin" / "argon", work / "bin" / "argon")
    shutil.copy2(arguments.build / "lib" / "argon.so", work / "lib" / "argon.so")
    missed = 0
    try:
        run_case(work, "setup", bindir, "main").check_returncode()
        for rule in arguments.rule or RULES:
            problem = compile_without(rule, work, arguments.pg_config)
            began = time.monotonic()
            if problem is None:
                ran = run_case(work, RULES[rule][0], bindir, rule)
                problem = None if ran.returncode != 0 else "PASSED without the rule"
                said = what_it_said(ran.stdout + ran.stderr)
            missed += problem is not None
            print(f"{rule:<26} {RULES[rule][0]:<18} {time.monotonic() - began:>5.0f}  {problem or said}", flush=True)
    finally:
        run_case(work, "cleanup", bindir, "cleanup")
        shutil.rmtree(work, ignore_errors=True)
    print(f"{len(arguments.rule or RULES) - missed} of {len(arguments.rule or RULES)} rules were missed when taken out")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
