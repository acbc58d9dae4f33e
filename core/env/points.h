// Points: the named places of product code that testing is interested in, each with what it means.
//
// A probe is a rare path: `env.probe("safekeeper.sync-failed"_probe)` says that it was hit. A rare branch is
// something legal that hardly ever happens: `if (env.buggify("proposer.small-append"_rare))` is always false
// in production, and in some simulated runs true now and then.
//
// A name that is not in its table does not compile; `ctest -R tidy.points` sees that every name of a table is
// in the code, and a rare branch in one place only, since each draws from a stream of its own. Both cost
// production a virtual call with a small number.
//
// Those of "selftest" are of the scenarios that test the simulator itself.
//
// A rare branch may only do what the same code could do in production without it: time, sizes, order, a
// connection that ends. It must not keep the code from making progress when it is taken one time in sixteen.

#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "core/env/env.h"

namespace argon {

struct NamedPoint {
  std::string_view name;  // PART.WHAT
  std::string_view what;
};

inline constexpr NamedPoint kProbes[] = {
    {"broker.dropped-news", "positions were dropped for a client that does not read"},
    {"broker.lost-a-slow-client", "a client did not read for so long that it was cut off"},
    {"compute.page-requests-failed", "a connection for pages broke with requests in flight"},
    {"compute.page-server-error", "the pageserver answered a page request by an error"},
    {"migration.overtaken", "somebody else went further with a change of members"},
    {"migration.term-raised", "a new member was in a lower term than the old ones"},
    {"pageserver.ancestor-waited-for", "a read waited until the ancestor had the branch point's WAL again"},
    {"pageserver.archived", "a timeline was archived"},
    {"pageserver.archived-again", "that one is archived was put again, as it was an earlier life's word"},
    {"pageserver.attached-anew", "a tenant was attached by request, with a generation of its own"},
    {"pageserver.base-from-ancestor", "a page was rebuilt from an image or whole record of an ancestor"},
    {"pageserver.base-in-frozen-layer", "a read ended in a layer that was frozen and not flushed yet"},
    {"pageserver.batch-read-together",
     "a request waited for the disk, and the next one was worked on meanwhile"},
    {"pageserver.branch-below-flushed", "a branch point below what the parent has flushed already"},
    {"pageserver.branch-found-done", "a branch was asked for again, as its answer was lost"},
    {"pageserver.branch-of-a-deleted-timeline",
     "the first index of a branch came late, when its ancestor was deleted already"},
    {"pageserver.compaction-failed", "a compaction failed and is tried again"},
    {"pageserver.creation-finished-later",
     "a timeline whose creation was undecided was finished by a later request"},
    {"pageserver.deletion-marked-later", "the mark of a deletion was put again, as its answer was lost"},
    {"pageserver.deletion-waited-for-readers", "a deleted timeline was still being read"},
    {"pageserver.detached", "a timeline took over the history of its ancestors"},
    {"pageserver.flush-behind-a-failed-one", "a layer was written, and given up as an older one was not"},
    {"pageserver.flush-failed", "a layer could not be written and is tried again"},
    {"pageserver.flush-waited-for-an-older-one", "a layer was written while an older one was not yet"},
    {"pageserver.garbage-stayed", "the removal of replaced objects failed"},
    {"pageserver.gc-failed", "a round of garbage collection failed and is tried again"},
    {"pageserver.gc-made-images", "images were made so that history below the GC cutoff could go"},
    {"pageserver.gc-removed-layers", "garbage collection removed layers"},
    {"pageserver.generation-taken", "a generation was claimed by somebody, or perhaps by us"},
    {"pageserver.heatmap-uploaded", "a list of the layers worth to have on a disk was put"},
    {"pageserver.images-made", "image layers were made where reads had grown long"},
    {"pageserver.index-written-again", "an index whose first writing failed was written before files went"},
    {"pageserver.ingest-waited", "ingest stood still until a frozen layer was flushed (back-pressure)"},
    {"pageserver.ingest-waited-for-compaction", "ingest stood still until there were fewer L0 layers"},
    {"pageserver.late-branch-ignored", "a branch that was never confirmed came late, below the GC cutoff"},
    {"pageserver.late-object-removed", "an object of a deleted timeline came late"},
    {"pageserver.layer-downloaded", "a layer that is missing or damaged here came from the object store"},
    {"pageserver.layer-evicted", "a layer's file was removed from the disk, as that is a cache"},
    {"pageserver.layer-in-pieces", "a part of a layer was written while more of it was built"},
    {"pageserver.layer-still-read", "a replaced layer could not be removed yet, as it was being read"},
    {"pageserver.left-a-silent-safekeeper",
     "it left a safekeeper that had been silent, for one that is ahead"},
    {"pageserver.local-index-incomplete", "the local index is newer, but not all it names is there"},
    {"pageserver.local-index-newer",
     "a start went on from a local index that is newer than the uploaded one"},
    {"pageserver.only-avoided-safekeepers", "all safekeepers it hears of had failed it a moment ago"},
    {"pageserver.orphans-found", "objects that an earlier life left over were found"},
    {"pageserver.other-safekeeper", "it receives from another safekeeper than before"},
    {"pageserver.page-made-of-a-kept-one", "a read began with a page that an earlier read had made"},
    {"pageserver.read-again", "a read looked at layers again, as they were replaced while it failed"},
    {"pageserver.read-timed-out", "a read gave up waiting for its WAL"},
    {"pageserver.read-waited", "a read waited for WAL that had not come yet"},
    {"pageserver.secondary-has-no-room", "a warm copy left layers out, as the disk has its bounds"},
    {"pageserver.secondary-interrupted", "a warm copy was taken over, or given up, in the middle of a round"},
    {"pageserver.secondary-layer-evicted", "a layer of a warm copy went, as the disk has its bounds"},
    {"pageserver.secondary-layer-fetched", "a layer of a warm copy came from the object store"},
    {"pageserver.secondary-layer-removed",
     "a layer of a warm copy went, as it is not worth to have any more"},
    {"pageserver.slru-images-made",
     "a compaction changed pages of pg_xact or pg_multixact, and images of them were made"},
    {"pageserver.stale-removes-nothing", "a pageserver whose generation is stale gave its removals up"},
    {"pageserver.stray-file-removed", "a file that no index names was found at the start"},
    {"pageserver.tenant-given-up", "a tenant that was attached, or a secondary, became something less"},
    {"pageserver.tenant-is-elsewhere", "a start found a tenant that another pageserver has claimed"},
    {"pageserver.timeline-rests", "a timeline had nothing to do for a while"},
    {"pageserver.unarchived", "an archived timeline came back"},
    {"pageserver.upload-answer-lost", "an upload may have been carried out"},
    {"pageserver.upload-failed", "an upload failed and is tried again"},
    {"pageserver.warm-takeover", "a timeline that was attached found layers that its warm copy had fetched"},
    {"proposer.back-pressure", "WAL waited, since too much was not committed"},
    {"proposer.donor-failed", "the safekeeper that was to fill up a lagging one could not"},
    {"proposer.election-lost", "the election was lost to a higher term, or to who has the vote already"},
    {"proposer.filled-up-from-donor", "a lagging safekeeper got old WAL from another one"},
    {"proposer.link-lost", "the connection to a safekeeper ended while it was needed"},
    {"proposer.member-does-not-read", "a safekeeper did not read its control messages"},
    {"proposer.stepped-down", "a proposer that led saw a higher term"},
    {"proposer.trimmed-what-a-member-lacks", "the buffer gave up WAL that some safekeeper does not have"},
    {"safekeeper.append-of-old-term", "a proposer that was overtaken sent WAL or an election, and was told"},
    {"safekeeper.caught-up-with-a-peer", "WAL that no proposer sent came from a peer"},
    {"safekeeper.chain-advanced", "the hash chain got a link for a segment that is all committed"},
    {"safekeeper.chains-differ", "two safekeepers have other committed WAL, as their hashes say"},
    {"safekeeper.commit-found-with-peers", "what peers have showed that WAL is committed"},
    {"safekeeper.commit-from-peer", "a commit position was learnt from another safekeeper"},
    {"safekeeper.control-file-failed", "the control file could not be written"},
    {"safekeeper.creation-undecided",
     "a timeline's creation failed so that nobody knows whether it is there"},
    {"safekeeper.cut-while-flushing", "WAL was cut, or a vote flushed it, while it was being flushed"},
    {"safekeeper.cut-while-sending", "WAL was cut while it was being sent by term"},
    {"safekeeper.decoded-apart", "a reader of interpreted WAL has a decoder of its own beside another one's"},
    {"safekeeper.decoded-together",
     "a reader of interpreted WAL caught up with the others, and gave its own decoder up"},
    {"safekeeper.evicted", "a timeline's WAL went from the disk, since it is in the object store"},
    {"safekeeper.excluded", "a timeline was removed, since this safekeeper is no member any more"},
    {"safekeeper.fell-asleep", "a timeline that nobody uses gave up its acceptor and segments"},
    {"safekeeper.log-cut", "WAL was cut where logs part"},
    {"safekeeper.looked-at-later", "a timeline was opened in the background after the start"},
    {"safekeeper.lost-its-disk", "a timeline was refused that this safekeeper kept on another disk"},
    {"safekeeper.no-control-file", "the folder of a timeline without a control file was found at the start"},
    {"safekeeper.old-segments-removed", "segments that nobody needs were removed"},
    {"safekeeper.partial-overtaken", "the last segment went on while its beginning was uploaded"},
    {"safekeeper.partial-replaced", "an uploaded beginning of a segment was removed"},
    {"safekeeper.proposer-does-not-read", "a proposer did not read its answers and was cut off"},
    {"safekeeper.proposer-refused", "the connection of a proposer was closed for what it said"},
    {"safekeeper.pulled", "the WAL of a timeline was copied from a peer"},
    {"safekeeper.pulled-from-further-back",
     "all of the last segment of a copied log was the rest of one record"},
    {"safekeeper.record-over-segments",
     "a record that goes over a segment's end was found right before upload"},
    {"safekeeper.return-failed", "the WAL of an evicted timeline could not be had from the object store"},
    {"safekeeper.returned", "the WAL of an evicted timeline came back from the object store"},
    {"safekeeper.segment-from-store", "WAL that is not here was read from the object store"},
    {"safekeeper.segment-made-ahead", "a new segment's file was made before it was needed"},
    {"safekeeper.segment-uploaded", "a full segment was uploaded"},
    {"safekeeper.serving-again", "a timeline that had stopped serves again"},
    {"safekeeper.stays-awake", "work began while a timeline was about to fall asleep"},
    {"safekeeper.store-asked-again", "the object store refused a piece of evicted WAL, and was asked again"},
    {"safekeeper.stray-segment-removed",
     "a segment without a mark in the control file was found at the start"},
    {"safekeeper.sync-failed", "WAL could not be made durable"},
    {"safekeeper.tail-cleared", "at the start a segment lay beyond the end of valid WAL"},
    {"safekeeper.tail-from-a-peer", "evicted WAL came back from a peer's object, its own was damaged"},
    {"safekeeper.told-members", "a proposer learnt from a former member who the members are"},
    {"safekeeper.upload-failed", "WAL could not be uploaded and is tried again"},
    {"safekeeper.uploaded-tail-damaged",
     "the object of a last segment was not what is on the disk, when it was to be evicted"},
    {"safekeeper.vote-flushed-first", "a vote had to flush WAL first"},
    {"safekeeper.wal-refused", "WAL was refused, since the disk is full"},
    {"safekeeper.wal-taken-again", "there was room for WAL again"},
    {"safekeeper.woken-by-a-peer", "news of a peer concerned a timeline that was asleep"},
    {"safekeeper.write-failed", "WAL could not be written"},
    {"selftest.first", "a process died between making a new version of a file and putting it in place"},
    {"selftest.second", "a disk refused a sync"},
    {"selftest.third", "a peer was lost between a request and its answer"},
};

inline constexpr NamedPoint kRareBranches[] = {
    {"broker.drops-a-client", "closes the connection of a client"},
    {"compute.drops-page-connection", "closes the connection for pages, with what is in flight"},
    {"pageserver.compacts-early", "compacts as soon as there are two L0 layers"},
    {"pageserver.compacts-late", "skips a round of compaction"},
    {"pageserver.feedback-early", "tells its positions more often than it needs to"},
    {"pageserver.freezes-early", "freezes the open layer before it is full or old"},
    {"pageserver.leaves-a-safekeeper", "ends a good connection to a safekeeper"},
    {"pageserver.prefers-another", "avoids the safekeeper that is ahead"},
    {"pageserver.removes-late", "waits before it removes objects"},
    {"pageserver.sweeps-late", "leaves replaced layers for the next round"},
    {"pageserver.uploads-late", "waits before it uploads"},
    {"pageserver.writes-small-pieces", "writes a layer in as many pieces as it has blocks"},
    {"proposer.asks-early", "sends a heartbeat before it is due"},
    {"proposer.drops-a-link", "ends a good connection to a safekeeper"},
    {"proposer.other-donor", "takes another donor than the first"},
    {"proposer.small-append", "sends a few bytes of WAL in one message"},
    {"proposer.spurious-wakeup", "wakes all who wait for a change, without one"},
    {"proposer.trims-early", "keeps no committed WAL for those who lag"},
    {"safekeeper.drops-a-reader", "ends a good stream of WAL"},
    {"safekeeper.evicts-early", "evicts a timeline that is asleep without a pause"},
    {"safekeeper.flushes-late", "waits before it flushes, up to 20 ms"},
    {"safekeeper.keepalive-early", "asks a reader for an answer before it is due"},
    {"safekeeper.partial-early", "uploads the beginning of a segment without a pause in writing"},
    {"safekeeper.saves-early", "writes its positions more often than it needs to"},
    {"safekeeper.sends-little", "sends a few bytes of WAL in one message"},
    {"safekeeper.sleeps-early", "lets a timeline that is not in use fall asleep without a pause"},
    {"safekeeper.spare-early", "makes the next segment's file ahead though the timeline is not busy"},
    {"safekeeper.uploads-late", "leaves uploads for the next round"},
};

constexpr size_t kProbeCount = std::size(kProbes);
constexpr size_t kRareBranchCount = std::size(kRareBranches);

// An index into its table.
enum class Probe : uint16_t {};
enum class RareBranch : uint16_t {};

constexpr const NamedPoint& info(Probe probe) {
  return kProbes[static_cast<size_t>(probe)];
}
constexpr const NamedPoint& info(RareBranch branch) {
  return kRareBranches[static_cast<size_t>(branch)];
}

// Not defined: a name that is in no table does not compile.
void point_is_in_no_table();

template <size_t N>
consteval uint16_t index_of_point(const NamedPoint (&table)[N], std::string_view name) {
  for (uint16_t i = 0; i < N; i++)
    if (table[i].name == name) return i;
  point_is_in_no_table();
  return 0;
}
consteval Probe operator""_probe(const char* name, size_t size) {
  return static_cast<Probe>(index_of_point(kProbes, {name, size}));
}
consteval RareBranch operator""_rare(const char* name, size_t size) {
  return static_cast<RareBranch>(index_of_point(kRareBranches, {name, size}));
}

}  // namespace argon
