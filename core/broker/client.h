// A connection to the broker, for safekeepers (publish, and hear of peers) and pageservers (hear).

#pragma once

#include <functional>
#include <memory>

#include "core/broker/messages.h"
#include "core/env/env.h"

namespace argon::broker {

class BrokerClient {
 public:
  // Give the task a Deadline. Errors: those of connect.
  static Result<std::unique_ptr<BrokerClient>> connect(Task& task, const Address& broker);

  // One task writes, another reads.
  Status subscribe(Task& task, const std::optional<TenantTimelineId>& id);
  Status publish(Task& task, const std::vector<TimelineInfo>& infos);
  Result<std::vector<TimelineInfo>> receive(Task& task);
  void close() { stream_->close(); }

 private:
  explicit BrokerClient(std::unique_ptr<Stream> stream)
      : stream_(std::move(stream)), in_(*stream_), frames_(in_), out_(*stream_) {}

  std::unique_ptr<Stream> stream_;
  wire::BufferedReader in_;
  wire::FrameReader frames_;
  wire::BufferedWriter out_;
};

}  // namespace argon::broker
