#include <utility>

#include "core/http/server.h"

namespace argon::http {

namespace {

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    size_t slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    if (!part.empty()) parts.emplace_back(part);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

}  // namespace

void Router::add(std::string method, std::string_view pattern, Handler handler) {
  routes_.push_back({std::move(method), split_path(pattern), std::move(handler)});
}

void Router::add_metrics(const Metrics& metrics) {
  add("GET", "/metrics", [&metrics](Task&, const Request&) -> Result<Response> {
    return Response{200, "text/plain; version=0.0.4; charset=utf-8", metrics.to_text(), {}};
  });
}

bool Router::matches(const Route& route, const std::vector<std::string>& parts, Fields& parameters) {
  if (route.parts.size() != parts.size()) return false;
  Fields found;
  for (size_t i = 0; i < parts.size(); i++) {
    const std::string& wanted = route.parts[i];
    if (wanted[0] == ':')
      found[wanted.substr(1)] = parts[i];
    else if (wanted != parts[i])
      return false;
  }
  parameters = std::move(found);
  return true;
}

Response Router::handle(Task& task, Request& request) const {
  std::vector<std::string> parts = split_path(request.path);
  std::string method = request.method == "HEAD" ? "GET" : request.method;
  bool path_known = false;
  for (const Route& route : routes_) {
    Fields parameters;
    if (!matches(route, parts, parameters)) continue;
    path_known = true;
    if (route.method != method) continue;
    request.parameters = std::move(parameters);
    Result<Response> response = route.handler(task, request);
    return response.ok() ? *std::move(response) : error_response(response.error());
  }
  if (!path_known) return error_response(Error(Code::NotFound, "no such route: " + request.path));
  Response response = error_response(Error(Code::Invalid, request.method + " is not for " + request.path));
  response.status = 405;
  return response;
}

}  // namespace argon::http
