// Values: what is stored for a key at an LSN.
//
//   offset 0  u8  kind: 0 image · 1 WAL record · 2 WAL record that makes the page anew ·
//                 3 mutation · 4 mutation that makes the page anew · 5 several, oldest first ·
//                 6 several, the first of which makes the page anew · 7 compressed value, in layer files
//                 alone (value_compression.h)
//          1      image: its bytes (a page; none: the entry of a directory is taken back)
//                 record: the whole record, header and payload
//                 mutation: core/pg/redo/mutation.h's form
//                 several: (u32 LE length, value of kind 0 to 4) repeated
//
// "Several" occur when one record changes one page in more than one way. The bytes carry no
// checksum: the blocks they lie in do.

#pragma once

#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/pg/redo/mutation.h"

namespace argon::pageserver {

enum class ValueKind : uint8_t {
  Image = 0,
  Record = 1,
  RecordWillInit = 2,
  Mutation = 3,
  MutationWillInit = 4,
  Several = 5,
  SeveralWillInit = 6,
  Compressed = 7,
};

struct ValueView {
  ValueKind kind;
  ByteView body;  // borrowed
};

Bytes image_value(ByteView image);
Bytes record_value(ByteView record, bool will_init);
Bytes mutation_value(const pg::redo::Mutation& mutation);
// The value that stands for `earlier`, then `later`, both at one LSN.
Bytes join_values(ByteView earlier, ByteView later);

// No older version of the key is needed to read this one.
bool ends_chain(ByteView value);
// The parts, oldest first (one, unless the kind is Several). Code::Unsupported for an unknown kind,
// Code::Corrupt for bytes that do not fit it.
Result<std::vector<ValueView>> parts_of(ByteView value);

}  // namespace argon::pageserver
