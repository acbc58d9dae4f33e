// `argon proxy`: the endpoints of the state folder behind one address, woken by `argon endpoint start`.

#include <fmt/format.h>

#include "core/env/io.h"
#include "core/proxy/proxy.h"
#include "daemons/main/commands.h"
#include "daemons/main/daemons.h"
#include "daemons/main/object_store.h"
#include "daemons/posix/daemon.h"

namespace argon::cli {
namespace {

using namespace literals;

constexpr size_t kSaidMax = 16 * 1024;

std::string last_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  size_t line = text.rfind('\n');
  return std::string(line == std::string_view::npos ? text : text.substr(line + 1));
}

class ClusterEndpoints final : public proxy::Endpoints {
 public:
  explicit ClusterEndpoints(const Config& config) : config_(config) {}

  Result<Address> address(Task&, const std::string& name) override {
    TRY(check_endpoint_name(name));
    TRY_ASSIGN(Endpoint endpoint, load_endpoint(config_, name));
    return endpoint.listen;
  }

  Result<std::string> unnamed(Task&) override {
    TRY_ASSIGN(std::vector<Endpoint> all, load_endpoints(config_));
    if (all.size() == 1) return all[0].name;
    std::string there;
    for (const Endpoint& one : all) there += (there.empty() ? "" : ", ") + one.name;
    return Error(Code::Invalid, all.empty() ? "there is no endpoint: make one by `argon endpoint create`"
                                            : "name an endpoint before the database, as " + all[0].name +
                                                  "/postgres (there are: " + there + ")");
  }

  // As a process of its own: the command waits for the lock on the state folder.
  Status wake(Task& task, const std::string& name) override {
    TRY_ASSIGN(Endpoint endpoint, load_endpoint(config_, name));
    if (is_held_back(config_, endpoint))
      return Error(Code::Unavailable, "it was stopped by its operator: `argon endpoint start " + name + "`");
    SpawnOptions options;
    options.argv = {self_path(), "--dir", config_.dir, "endpoint", "start", name};
    options.environment = s3_environment();
    options.environment.insert({{"PATH", "/usr/bin:/bin"}, {"LANG", "C.UTF-8"}});
    options.err = ChildStream::pipe();
    TRY_ASSIGN(auto child, task.env().processes()->spawn(task, options));
    TRY_ASSIGN(std::string said, read_to_end(task, *child->err(), kSaidMax));
    TRY_ASSIGN(ExitStatus end, child->wait(task));
    if (end.clean()) return {};
    return Error(Code::Unavailable, last_line(said));
  }

 private:
  const Config& config_;
};

}  // namespace

int proxy_main(const Globals& globals) {
  Result<Config> config = load_config(state_dir(globals.dir));
  if (!config.ok()) return refuse(globals, config.error());
  if (!config->proxy_listen.port)
    return refuse(globals, Error(Code::NotFound,
                                 config->config_file() +
                                     " has no section [proxy]: write one, with listen and listen_http"));
  Status made = make_node_folder(config->proxy_dir());
  if (!made.ok()) return refuse(globals, made.error());
  proxy::ProxyConfig proxy;
  proxy.listen = config->proxy_listen;
  proxy.listen_http = config->proxy_http;
  if (!config->proxy_tls_cert.empty())
    proxy.tls = proxy::TlsConfig{config->resolve(config->proxy_tls_cert),
                                 config->resolve(config->proxy_tls_key), config->proxy_tls_required};
  ClusterEndpoints endpoints(*config);
  return posix::run_daemon(
      options_for(globals, *config, "proxy", config->proxy_dir() + "/proxy.pid"),
      [&](Task& task, Env& env) { return proxy::run_proxy(task, env, proxy, endpoints); });
}

}  // namespace argon::cli
