// Redo of resource manager Sequence: commands/sequence.c of PostgreSQL 15.

#include "core/pg/redo/context.h"
#include "core/pg/redo/page_ids.h"

namespace argon::pg::redo {
namespace {

constexpr size_t kSequenceRecordBytes = 12;  // xl_seq_rec: the relation's name; the tuple follows

}  // namespace

// seq_redo: the page is always made anew from the record.
Status redo_sequence(const Redo& r) {
  if (r.record.type() != 0x00) return unknown_type();
  TRY(r.need_main(kSequenceRecordBytes + 1));
  page_init(r.page, sizeof kSequenceMagic);
  r.page.set(r.page.special(), kSequenceMagic);
  TRY(page_add_item(r.page, r.main().subspan(kSequenceRecordBytes), 1, kAddDefault));
  return r.done();
}

}  // namespace argon::pg::redo
