// A small HTTP/1.1 server over Env streams: routes, JSON, limits. For management and metrics, on loopback.
//
// Requests of a connection are answered in order (keep-alive; pipelining is harmless). Bodies are held in
// memory, up to a limit. No TLS, no chunked responses, no upgrades.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/metrics.h"
#include "core/env/env.h"
#include "core/http/message.h"

namespace argon::http {

using Handler = std::function<Result<Response>(Task&, const Request&)>;

class Router {
 public:
  // Pattern: "/v1/tenant/:tenant/timeline/:timeline". The first route added that fits is taken.
  void add(std::string method, std::string_view pattern, Handler handler);
  // "GET /metrics"; metrics outlives the router.
  void add_metrics(const Metrics& metrics);
  // Fills request.parameters and runs the handler. An error becomes its response; unknown paths give 404,
  // known ones with another method 405.
  Response handle(Task& task, Request& request) const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> parts;  // ":name" is a parameter
    Handler handler;
  };
  static bool matches(const Route& route, const std::vector<std::string>& parts, Fields& parameters);

  std::vector<Route> routes_;
};

struct ServerLimits {
  size_t connections = 64;  // more have to wait
  size_t header_bytes = 16 * 1024;
  size_t body_bytes = 4 * 1024 * 1024;
  Duration idle = Duration::seconds(60);     // between requests
  Duration request = Duration::seconds(30);  // to receive one, and to send its answer
};

// Serves until the task is cancelled or the listener closed. Borrows everything. The handlers run in the
// fibers of the connections and see the request's own deadline only if they set one.
Status serve(Task& task, Listener& listener, const Router& router, const ServerLimits& limits = {});

// One connection, until it ends. Errors only for logs.
Status serve_connection(Task& task, Stream& stream, const Router& router, const ServerLimits& limits);

}  // namespace argon::http
