// What a record's type is called, for people: the names that pg_waldump prints.
//
// Source: the *_identify functions of access/rmgrdesc, PostgreSQL 15.

#pragma once

#include <cstdint>
#include <string>

#include "core/pg/constants.h"

namespace argon::pg {

// What tells types of a resource manager apart: the high nibble of xl_info, of transactions without the flag
// in it.
uint8_t record_type_id(uint8_t rmid, uint8_t info);
// "INSERT+INIT"; "UNKNOWN (f0)" for a type that 15 does not have, or of an extension's resource manager.
std::string record_name(uint8_t rmid, uint8_t info);

}  // namespace argon::pg
