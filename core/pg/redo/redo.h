// Native redo: applies one WAL record to one block, in process, without PostgreSQL.
//
// Mirrors what the stock server's rm_redo functions and XLogReadBufferForRedoExtended do to that
// one page, byte for byte (README.md says what "byte for byte" leaves out, and how it is proved).
// Pure and deterministic: no state between calls, no clock, no allocation except for errors.
// The content of no other page is ever needed. What a record changes beyond its block references
// (visibility map bits, SLRUs, files) is in nonblock.h.

#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/pg/redo/settings.h"
#include "core/pg/wal_record.h"

namespace argon::pg::redo {

// Changes `page`, the state of that block before the record, to its state after it.
//
// `block` is one of record.blocks(). A block whose image must be applied, or that the record makes
// anew, needs no earlier state: `page` may hold anything. A page whose LSN is not below the
// record's end is left alone, as the server does (a base image newer than the chain's start).
//
// Code::Unsupported: nothing here redoes this record; names resource manager and type.
// Code::Corrupt: the record does not fit the page, or either is damaged; names record, block and
// what is wrong. After an error the page's content is undefined and must not be used or stored.
// REQUIRES: page.size() == kBlockSize.
Status apply(const DecodedRecord& record, const DecodedBlock& block, ByteSpan page,
             const RedoSettings& settings);

// The result of apply() does not depend on the page's earlier content.
bool makes_page(const DecodedRecord& record, const DecodedBlock& block);

}  // namespace argon::pg::redo
