// Page stream: the page requests of one connection (core/wire/pagestream.h), answered in their order.
//
// What has arrived is a batch, up to a bound. Where one of its requests waits for the disk, or for a layer
// from the object store, the next ones are worked on meanwhile. A request that waits for WAL to come does not
// hold up the answers to those before it.

#pragma once

#include <memory>

#include "core/base/metrics.h"
#include "core/pageserver/timeline.h"
#include "core/wire/pg_wire.h"

namespace argon::pageserver {

// In COPY BOTH, until the client ends it. Borrows the server.
Status serve_page_stream(Task& task, std::shared_ptr<Timeline> timeline, wire::PgServer& server,
                         Metrics& metrics);

}  // namespace argon::pageserver
