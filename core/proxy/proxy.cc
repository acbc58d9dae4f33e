#include "core/proxy/proxy.h"

#include <nlohmann/json.hpp>

#include "core/http/server.h"
#include "core/proxy/client.h"

namespace argon::proxy {
namespace {

class Proxy {
 public:
  Proxy(Env& env, const ProxyConfig& config, Endpoints& endpoints)
      : env_(env), config_(config), endpoints_(endpoints), log_(env.log()) {
    metrics_.gauge_from("argon_proxy_connections", "Connections of clients.", {},
                        [this] { return static_cast<int64_t>(open_); });
  }

  Status run(Task& task);

 private:
  Status accept_loop(Task& task, Listener& listener, Certificate* certificate);
  void serve(Scope& connections, Shared& shared, std::unique_ptr<Stream> stream);
  http::Router routes();

  Env& env_;
  const ProxyConfig& config_;
  Endpoints& endpoints_;
  Logger log_;
  Metrics metrics_;
  Counter& accepted_ = metrics_.counter("argon_proxy_accepted_total", "Connections taken.");
  Counter& refused_ = metrics_.counter("argon_proxy_refused_total", "Connections beyond the limit.");
  Counter& failed_ = metrics_.counter("argon_proxy_failed_total", "Connections that ended with an error.");
  Counter& wakes_ = metrics_.counter("argon_proxy_wakes_total", "Starts of endpoints that slept.");
  Counter& retries_ = metrics_.counter("argon_proxy_retries_total", "Servers found not to be up yet.");
  Counter& cancels_ = metrics_.counter("argon_proxy_cancels_total", "Cancel requests passed on.");
  Counter& encrypted_ = metrics_.counter("argon_proxy_tls_total", "Connections with TLS.");
  Counter& not_encrypted_ =
      metrics_.counter("argon_proxy_tls_failed_total", "TLS handshakes that failed, by either side.");
  size_t open_ = 0;
  std::map<std::string, size_t>* clients_ = nullptr;
};

http::Router Proxy::routes() {
  http::Router router;
  router.add_metrics(metrics_);
  router.add("GET", "/v1/status", [this](Task&, const http::Request&) -> Result<http::Response> {
    nlohmann::json endpoints = nlohmann::json::object();
    for (const auto& [name, count] : *clients_) endpoints[name] = count;
    return http::json_response({{"connections", open_},
                                {"endpoints", endpoints},
                                {"wakes", wakes_.value()},
                                {"tls", config_.tls.has_value()}});
  });
  return router;
}

Status Proxy::run(Task& task) {
  std::optional<Certificate> certificate;
  if (config_.tls) {
    certificate.emplace(env_, *config_.tls, log_);
    TRY(certificate->load(task));
  }
  TRY_ASSIGN(auto listener, env_.network().listen(task, config_.listen));
  TRY_ASSIGN(auto http_listener, env_.network().listen(task, config_.listen_http));
  log_.info("proxy listens on {}, HTTP on {}", to_string(listener->address()),
            to_string(http_listener->address()));
  http::Router router = routes();
  Scope scope(task);
  scope.spawn("proxy.http", [&](Task& t) { return http::serve(t, *http_listener, router); });
  scope.spawn("proxy.accept",
              [&](Task& t) { return accept_loop(t, *listener, certificate ? &*certificate : nullptr); });
  Status ended = scope.join(task);
  log_.info("proxy stopped");
  return ended.is(Code::Cancelled) ? Status() : ended;
}

Status Proxy::accept_loop(Task& task, Listener& listener, Certificate* certificate) {
  Scope connections(task);
  Waker waker(connections, endpoints_, wakes_);
  Shared shared{env_, config_, endpoints_, waker,    certificate, log_,
                {},   {},      retries_,   cancels_, encrypted_,  not_encrypted_};
  clients_ = &shared.clients;
  Status ended;
  while (ended.ok()) {
    auto stream = listener.accept(task);
    if (stream.is(Code::Io)) {  // out of descriptors: others will close some
      log_.warn("accept: {}", stream.error().to_string());
      ended = task.sleep(Duration::milliseconds(100));
    } else if (!stream.ok()) {
      ended = stream.error();
    } else {
      serve(connections, shared, *std::move(stream));
    }
  }
  ignore_result(connections.stop(task));  // the connections end with it
  return ended;
}

void Proxy::serve(Scope& connections, Shared& shared, std::unique_ptr<Stream> stream) {
  bool full = open_ >= config_.connections;
  (full ? refused_ : accepted_).add();
  // A function is copied, a stream is not.
  auto client = std::make_shared<Client>(shared, std::move(stream));
  if (full) {
    connections.spawn("proxy.refuse", [this, client](Task& t) -> Status {
      client->refuse(t, Error(Code::Unavailable, "the proxy has as many connections as it takes, " +
                                                     std::to_string(config_.connections)));
      return {};
    });
    return;
  }
  open_++;
  connections.spawn("proxy.client", [this, client](Task& t) -> Status {
    Status ended = client->serve(t);
    open_--;
    if (ended.ok() || ended.is(Code::Cancelled) || ended.is(Code::Disconnected)) return {};
    failed_.add();
    log_.warn("a client's connection ended: {}", ended.error().to_string());
    return {};
  });
}

}  // namespace

Status run_proxy(Task& task, Env& env, const ProxyConfig& config, Endpoints& endpoints) {
  return Proxy(env, config, endpoints).run(task);
}

}  // namespace argon::proxy
