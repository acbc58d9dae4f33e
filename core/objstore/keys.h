// Names of objects, and generations in them.
//
// "tenants/TENANT/timelines/TIMELINE/NAME-GENERATION" with the generation as 8 hex digits (layers,
// index.json), and "wal/TENANT/TIMELINE/SEGMENT". A pageserver that was attached with a
// lower generation never overwrites what a later one wrote, since their names differ.

#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/ids.h"
#include "core/objstore/object_store.h"

namespace argon::objstore {

std::string tenant_prefix(const TenantId& tenant);        // "tenants/TENANT/"
std::string timeline_prefix(const TenantTimelineId& id);  // "tenants/TENANT/timelines/TIMELINE/"
std::string wal_prefix(const TenantTimelineId& id);       // "wal/TENANT/TIMELINE/"

// "NAME-0000002a".
std::string with_generation(std::string_view name, Generation generation);
// The inverse; nothing where the text does not end so.
std::optional<std::pair<std::string, Generation>> split_generation(std::string_view name);

// Of the objects "PREFIX NAME-GENERATION" the one of the highest generation <= `ours`: an attaching
// pageserver's index. NotFound where there is none.
Result<std::pair<std::string, Generation>> find_latest(Task& task, ObjectStore& store,
                                                       const std::string& prefix, const std::string& name,
                                                       Generation ours);

}  // namespace argon::objstore
