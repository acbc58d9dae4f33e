#include "core/broker/client.h"

#include <algorithm>

namespace argon::broker {

Result<std::unique_ptr<BrokerClient>> BrokerClient::connect(Task& task, const Address& broker) {
  TRY_ASSIGN(std::unique_ptr<Stream> stream, task.env().network().connect(task, broker));
  std::unique_ptr<BrokerClient> client(new BrokerClient(std::move(stream)));
  append(client->out_.buffer(), wire::kHello);
  TRY(client->out_.flush(task));
  return client;
}

Status BrokerClient::subscribe(Task& task, const std::optional<TenantTimelineId>& id) {
  encode_subscribe(out_.buffer(), id);
  return out_.flush(task);
}

Status BrokerClient::publish(Task& task, const std::vector<TimelineInfo>& infos) {
  for (size_t at = 0; at < infos.size(); at += kInfosPerFrame) {
    auto first = infos.begin() + static_cast<ptrdiff_t>(at);
    auto last = infos.begin() + static_cast<ptrdiff_t>(std::min(infos.size(), at + kInfosPerFrame));
    encode_infos(out_.buffer(), FrameType::Publish, std::vector<TimelineInfo>(first, last));
    TRY(out_.flush(task));
  }
  return {};
}

Result<std::vector<TimelineInfo>> BrokerClient::receive(Task& task) {
  TRY_ASSIGN(wire::Frame frame, frames_.read(task));
  if (frame.type != static_cast<uint8_t>(FrameType::Infos))
    return Error(Code::Corrupt, "frame of type " + std::to_string(frame.type) + " from the broker");
  return parse_infos(frame.payload);
}

}  // namespace argon::broker
