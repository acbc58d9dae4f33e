#include "core/broker/broker.h"

#include <nlohmann/json.hpp>

#include "core/broker/hub.h"
#include "core/env/points.h"
#include "core/fiber/scope.h"
#include "core/http/server.h"

namespace argon::broker {
namespace {

struct Peer {
  Peer(std::unique_ptr<Stream> s, size_t waiting_max) : stream(std::move(s)), mailbox(waiting_max) {}

  std::unique_ptr<Stream> stream;
  Mailbox mailbox;
  WaitList news;
};

class Broker {
 public:
  Broker(Env& env, const BrokerConfig& config)
      : env_(env),
        config_(config),
        log_(env.log()),
        published_(metrics_.counter("argon_broker_published_total", "Positions received.")),
        connected_(metrics_.gauge("argon_broker_connections", "Connections open.")) {}

  Status run(Task& task);

 private:
  Status accept_loop(Task& task, Listener& listener);
  Status serve(Task& task, Peer& peer);
  Status read_loop(Task& task, Peer& peer);
  Status write_loop(Task& task, Peer& peer);
  void spread(const std::vector<TimelineInfo>& infos);
  http::Router routes();

  Env& env_;
  const BrokerConfig& config_;
  Logger log_;
  Metrics metrics_;
  Counter& published_;
  Gauge& connected_;
  std::map<uint64_t, Peer*> peers_;
  uint64_t next_peer_ = 1;
};

http::Router Broker::routes() {
  http::Router router;
  router.add_metrics(metrics_);
  router.add("GET", "/v1/status", [this](Task&, const http::Request&) -> Result<http::Response> {
    return http::json_response({{"connections", peers_.size()}, {"published", published_.value()}});
  });
  return router;
}

Status Broker::run(Task& task) {
  TRY_ASSIGN(auto listener, env_.network().listen(task, config_.listen));
  TRY_ASSIGN(auto http_listener, env_.network().listen(task, config_.listen_http));
  log_.info("broker listens on {}, HTTP on {}", to_string(listener->address()),
            to_string(http_listener->address()));
  http::Router router = routes();
  Scope scope(task);
  scope.spawn("broker.http", [&](Task& t) { return http::serve(t, *http_listener, router); });
  scope.spawn("broker.accept", [&](Task& t) { return accept_loop(t, *listener); });
  Status ended = scope.join(task);
  log_.info("broker stopped");
  return ended.is(Code::Cancelled) ? Status() : ended;
}

Status Broker::accept_loop(Task& task, Listener& listener) {
  Scope connections(task);
  Status ended;
  for (;;) {
    auto stream = listener.accept(task);
    if (stream.is(Code::Io)) {
      log_.warn("accept: {}", stream.error().to_string());
      if (Status slept = task.sleep(Duration::milliseconds(100)); slept.ok()) continue;
    }
    if (!stream.ok()) {
      ended = stream.error();
      break;
    }
    if (peers_.size() >= config_.connections_max) {
      log_.warn("{} connections are open, refused {}", peers_.size(), (*stream)->peer());
      continue;
    }
    auto peer = std::make_shared<Peer>(*std::move(stream), config_.waiting_max);
    uint64_t number = next_peer_++;
    peers_[number] = peer.get();
    connected_.set(static_cast<int64_t>(peers_.size()));
    connections.spawn("broker.peer", [this, peer, number](Task& t) {
      Status done = serve(t, *peer);
      peers_.erase(number);
      connected_.set(static_cast<int64_t>(peers_.size()));
      if (!done.ok() && !done.is(Code::Disconnected) && !done.is(Code::Cancelled))
        log_.info("{}: {}", peer->stream->peer(), done.error().to_string());
      return Status();
    });
  }
  ignore_result(connections.stop(task));  // each connection has logged its own end
  return ended;
}

Status Broker::serve(Task& task, Peer& peer) {
  Scope scope(task);
  scope.spawn("broker.read", [&](Task& t) {
    Status ended = read_loop(t, peer);
    return ended.ok() ? Status(Error(Code::Disconnected, "the client left")) : ended;
  });
  scope.spawn("broker.write", [&](Task& t) { return write_loop(t, peer); });
  return scope.join(task);
}

Status Broker::read_loop(Task& task, Peer& peer) {
  wire::BufferedReader in(*peer.stream);
  {
    Deadline deadline(task, config_.idle_timeout);
    TRY(wire::expect_hello(task, in));
  }
  wire::FrameReader frames(in);
  for (;;) {
    // Who only listens has nothing to say.
    Deadline deadline(task, peer.mailbox.subscribed() ? Duration::max() : config_.idle_timeout);
    TRY_ASSIGN(wire::Frame frame, frames.read(task));
    if (frame.type == static_cast<uint8_t>(FrameType::Subscribe)) {
      TRY_ASSIGN(auto id, parse_subscribe(frame.payload));
      peer.mailbox.subscribe(id);
    } else if (frame.type == static_cast<uint8_t>(FrameType::Publish)) {
      TRY_ASSIGN(auto infos, parse_infos(frame.payload));
      spread(infos);
    } else {
      return Error(Code::Corrupt, "frame of type " + std::to_string(frame.type));
    }
  }
}

void Broker::spread(const std::vector<TimelineInfo>& infos) {
  published_.add(infos.size());
  for (auto& [number, peer] : peers_) {
    bool any = false;
    uint64_t dropped = peer->mailbox.dropped();
    for (const TimelineInfo& info : infos) {
      if (!peer->mailbox.wants(info.id)) continue;
      peer->mailbox.put(info);
      any = true;
    }
    if (peer->mailbox.dropped() > dropped) env_.probe("broker.dropped-news"_probe);
    if (any) peer->news.notify_all();
  }
}

Status Broker::write_loop(Task& task, Peer& peer) {
  wire::BufferedWriter out(*peer.stream);
  uint64_t frames_left =
      env_.buggify("broker.drops-a-client"_rare) ? env_.random("broker.drop").between(1, 200) : UINT64_MAX;
  for (;;) {
    while (peer.mailbox.empty()) TRY(peer.news.wait(task));
    if (frames_left-- == 0) return Error(Code::Disconnected, "the broker ends the connection");
    encode_infos(out.buffer(), FrameType::Infos, peer.mailbox.take(kInfosPerFrame));
    Deadline deadline(task, config_.write_timeout);
    Status sent = out.flush(task);
    if (sent.is(Code::TimedOut)) env_.probe("broker.lost-a-slow-client"_probe);
    TRY(sent);
  }
}

}  // namespace

Status run_broker(Task& task, Env& env, const BrokerConfig& config) {
  Broker broker(env, config);
  return broker.run(task);
}

}  // namespace argon::broker
