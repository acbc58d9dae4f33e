// ModelEndpoint: a server for the proxy to find: it sleeps, takes its time to start, and speaks PostgreSQL's
// protocol as far as a proxy cares.
//
// Asleep, its machine refuses connections to kSqlPort; to kWakePort it is woken by any byte, and answers with
// one once it is up. Up, it goes back to sleep by itself after a drawn while, whoever is connected. Starting
// and stopping, it answers "cannot connect now". Queries: "echo N SIZE" answers its own name, the database's,
// N and SIZE letters; "wait" until it is cancelled.

#pragma once

#include <string>

#include "core/env/env.h"

namespace argon::scenarios {

inline constexpr uint16_t kSqlPort = 5432;
inline constexpr uint16_t kWakePort = 9000;

// What it says while it starts and stops, with SQLSTATE 57P03.
inline constexpr const char* kNotYet = "not yet accepting connections";

struct ModelEndpointOptions {
  std::string name;
  Duration start = Duration::milliseconds(300);  // means, exponential
  Duration awake = Duration::seconds(8);
};

Status run_model_endpoint(Task& task, Env& env, const ModelEndpointOptions& options);

}  // namespace argon::scenarios
