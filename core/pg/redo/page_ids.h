// How the access methods of PostgreSQL 15 mark their pages, at the end of the special area.
//
// The last two bytes of a special area are an id, or, in btree pages, a cycle id, which leaves the ids out.
// GIN pages have none. Sources: access/gist.h, hash.h, spgist_private.h, brin_page.h, nbtree.h
// (MAX_BT_CYCLE_ID), commands/sequence.c.

#pragma once

#include <cstdint>

namespace argon::pg::redo {

inline constexpr uint16_t kHashPageId = 0xFF80;
inline constexpr uint16_t kGistPageId = 0xFF81;
inline constexpr uint16_t kSpGistPageId = 0xFF82;
inline constexpr uint16_t kMaxBtreeCycleId = 0xFF7F;
inline constexpr uint16_t kBrinMetaPage = 0xF091;
inline constexpr uint16_t kBrinRevmapPage = 0xF092;
inline constexpr uint16_t kBrinRegularPage = 0xF093;
inline constexpr uint32_t kSequenceMagic = 0x1717;  // the whole special area

}  // namespace argon::pg::redo
