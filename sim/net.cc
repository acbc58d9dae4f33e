#include "sim/net.h"

#include <algorithm>

#include "sim/machine.h"

namespace argon::sim {

using faults::Kind;

namespace {

constexpr size_t kBacklog = 128;
constexpr int kConnectAttempts = 6;
constexpr uint16_t kFirstFreePort = 32768;

// Registers a waiter for as long as the wait lasts, however it ends.
class Slot {
 public:
  Slot(Waiter*& slot, Waiter& waiter) : slot_(slot) { slot_ = &waiter; }
  ~Slot() { slot_ = nullptr; }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

 private:
  Waiter*& slot_;
};

}  // namespace

void Pipe::push(ByteView bytes, int64_t due, uint64_t sent) {
  append(data, bytes);
  last_due = due;
  if (under_way() && marks.back().due == due && !marks.back().end)
    marks.back().bytes += bytes.size();
  else
    marks.push_back({due, bytes.size(), false, {static_cast<uint32_t>(sent), 0}});
  schedule();
}

void Pipe::push_end(int64_t due) {
  end_sent = true;
  last_due = due;
  marks.push_back({due, 0, true, connection.net.world_.cause_});
  schedule();
}

size_t Pipe::take(ByteSpan into) {
  size_t n = std::min(into.size(), readable);
  std::memcpy(into.data(), data.data() + head, n);
  head += n;
  readable -= n;
  if (head == data.size()) {
    data.clear();
    head = 0;
  } else if (head > 65536 && head > data.size() / 2) {
    data.erase(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(head));
    head = 0;
  }
  return n;
}

void Pipe::schedule() {
  if (armed() || !under_way()) return;
  World& world = connection.net.world_;
  world.arm(*this, std::max(marks[first_mark].due, world.now().ns));
}

void Pipe::fire() {
  Net& net = connection.net;
  World& world = net.world_;
  Side& to_side = connection.sides[reader];
  Side& from_side = connection.sides[1 - reader];
  if (net.held_up(from_side.machine->index(), to_side.machine->index()))
    return;  // end_block() schedules again
  bool bytes = false;
  Cause cause = under_way() ? marks[first_mark].cause : Cause{};
  for (; under_way() && marks[first_mark].due <= world.now().ns; first_mark++) {
    bytes = bytes || marks[first_mark].bytes > 0;
    readable += marks[first_mark].bytes;
    end_arrived = end_arrived || marks[first_mark].end;
  }
  if (!under_way() || first_mark >= 1024) {
    marks.erase(marks.begin(), marks.begin() + static_cast<std::ptrdiff_t>(first_mark));
    first_mark = 0;
  }
  world.cause_ = cause;
  world.record_cause(EventKind::Deliver, to_side.machine->index(), connection.id, readable);
  if (to_side.env == nullptr || !to_side.open || to_side.reset) {
    // Nobody is there to read. A running operating system says so.
    head = data.size() - (unread() - readable);
    readable = 0;
    if (bytes && to_side.machine->powered()) connection.send_reset(1 - reader);
  } else if (to_side.reading != nullptr) {
    to_side.reading->wake();
  }
  schedule();
}

Connection::Connection(Net& n, uint32_t i) : net(n), id(i), to{{*this, 0}, {*this, 1}} {
  net.connections_.emplace(id, this);
}

Connection::~Connection() {
  net.connections_.erase(id);
  for (Pipe& pipe : to) net.world_.timers_.disarm(pipe);
}

void Connection::wake(int side) {
  if (sides[side].reading != nullptr) sides[side].reading->wake();
  if (sides[side].writing != nullptr) sides[side].writing->wake();
}

void Connection::close(int side) {
  Side& own = sides[side];
  if (!own.open) return;
  own.open = false;
  wake(side);
  Side& other = sides[1 - side];
  net.world_.record(EventKind::Close, own.machine->index(), id, 0);
  if (own.reset) return;
  Pipe& outgoing = to[1 - side];
  if (to[side].unread() > 0)
    send_reset(1 - side);
  else if (!outgoing.end_sent)
    outgoing.push_end(
        std::max(outgoing.last_due, net.world_.now().ns + net.latency(*own.machine, *other.machine).ns));
}

void Connection::send_reset(int to_side) {
  Machine& from = *sides[1 - to_side].machine;
  Machine& target = *sides[to_side].machine;
  net.world_.after(net.latency(from, target), [weak = weak_from_this(), to_side] {
    auto self = weak.lock();
    if (self == nullptr) return;
    Net& n = self->net;
    if (n.blocked(self->sides[1 - to_side].machine->index(), self->sides[to_side].machine->index())) {
      // It is under way until the path is free.
      n.world_.after(Duration::milliseconds(500), [weak, to_side] {
        if (auto again = weak.lock()) again->send_reset(to_side);
      });
      return;
    }
    self->reset_now(to_side);
  });
}

void Connection::reset_now(int side) {
  if (sides[side].reset) return;
  sides[side].reset = true;
  net.world_.record_cause(EventKind::Reset, sides[side].machine->index(), id, 0);
  wake(side);
}

class NetStream final : public Stream {
 public:
  NetStream(std::shared_ptr<Connection> connection, int side)
      : connection_(std::move(connection)), side_(side) {}
  ~NetStream() override {
    if (own().env != nullptr) connection_->close(side_);
  }

  Result<size_t> read(Task& task, ByteSpan into) override {
    CHECK(!into.empty());
    Pipe& pipe = connection_->to[side_];
    World& world = connection_->net.world_;
    for (;;) {
      TRY(check_open());
      if (pipe.readable > 0) {
        size_t n = std::min(into.size(), pipe.readable);
        if (n > 1 && world.faults.strikes(Kind::ShortReads, connection_->net.random_)) {
          n = 1 + connection_->net.random_.below(n - 1);
          world.counters.add(Kind::ShortReads);
        }
        n = pipe.take(into.first(n));
        Side& other = connection_->sides[1 - side_];
        if (other.writing != nullptr) other.writing->wake();
        return n;
      }
      if (pipe.end_arrived) return size_t{0};
      Waiter waiter(task);
      Slot slot(own().reading, waiter);
      TRY(task.wait(waiter));
    }
  }

  Result<size_t> write(Task& task, ByteView from) override {
    CHECK(!from.empty());
    Pipe& pipe = connection_->to[1 - side_];
    Net& net = connection_->net;
    for (;;) {
      TRY(check_open());
      if (pipe.end_sent)
        return Error(Code::Disconnected, "write to " + peer() + ": after the end of the stream");
      uint64_t capacity = net.capacity();
      if (pipe.unread() < capacity) {
        size_t n = std::min<size_t>(from.size(), capacity - pipe.unread());
        if (n > 1 && net.world_.faults.strikes(Kind::ShortWrites, net.random_)) {
          n = 1 + net.random_.below(n - 1);
          net.world_.counters.add(Kind::ShortWrites);
        }
        send(pipe, from.first(n));
        return n;
      }
      if (net.world_.faults.on(Kind::BufferPressure)) net.world_.counters.add(Kind::BufferPressure);
      Waiter waiter(task);
      Slot slot(own().writing, waiter);
      TRY(task.wait(waiter));
    }
  }

  Status shutdown_write(Task&) override {
    TRY(check_open());
    Pipe& pipe = connection_->to[1 - side_];
    if (!pipe.end_sent) pipe.push_end(due(pipe, 0));
    return {};
  }

  void close() override {
    if (own().env != nullptr) connection_->close(side_);
  }
  std::string peer() const override { return connection_->sides[side_].peer; }

 private:
  Side& own() { return connection_->sides[side_]; }
  Status check_open() {
    if (!own().open) return Error(Code::Disconnected, "the connection to " + own().peer + " is closed");
    if (own().reset) return Error(Code::Disconnected, "the connection to " + own().peer + " was reset");
    return {};
  }
  int64_t due(const Pipe& pipe, size_t bytes) {
    Net& net = connection_->net;
    Machine& other = *connection_->sides[1 - side_].machine;
    Duration latency = net.latency(*own().machine, other);
    int64_t due = std::max(pipe.last_due, net.world_.now().ns + latency.ns);
    return due + net.time_on_wire(*own().machine, other, bytes).ns;
  }
  void send(Pipe& pipe, ByteView bytes) {
    uint64_t sent = connection_->net.world_.record(EventKind::Send, own().machine->index(), connection_->id,
                                                   hash64(bytes), static_cast<uint32_t>(bytes.size()));
    pipe.push(bytes, due(pipe, bytes.size()), sent);
  }

  std::shared_ptr<Connection> connection_;
  int side_;
};

class NetListener final : public Listener {
 public:
  NetListener(SimEnv& env, Net& net, Address key, Address shown)
      : env_(env), net_(net), key_(std::move(key)), shown_(std::move(shown)) {
    net_.listeners_[{env_.machine().index(), key_}] = this;
  }
  ~NetListener() override { close(); }

  Result<std::unique_ptr<Stream>> accept(Task& task) override {
    while (backlog_.empty()) {
      if (closed_) return Error(Code::Disconnected, "the listener on " + to_string(shown_) + " is closed");
      TRY(waiters_.wait(task));
    }
    std::unique_ptr<Stream> stream = std::move(backlog_.front());
    backlog_.pop_front();
    return stream;
  }
  Address address() const override { return shown_; }
  void close() override {
    if (closed_) return;
    closed_ = true;
    if (!env_.dead()) net_.listeners_.erase({env_.machine().index(), key_});
    backlog_.clear();
    waiters_.notify_all();
  }

  bool full() const { return backlog_.size() >= kBacklog; }
  void offer(std::unique_ptr<Stream> stream) {
    backlog_.push_back(std::move(stream));
    waiters_.notify_one();
  }
  SimEnv& env() { return env_; }

 private:
  SimEnv& env_;
  Net& net_;
  Address key_;
  Address shown_;
  bool closed_ = false;
  std::deque<std::unique_ptr<Stream>> backlog_;
  WaitList waiters_;
};

Net::Net(World& world) : world_(world), random_(world.stream("net")) {}

Net::Link& Net::link(uint16_t from, uint16_t to) {
  if (links_.size() <= from) links_.resize(from + 1u);
  if (links_[from].size() <= to) links_[from].resize(to + 1u);
  return links_[from][to];
}

bool Net::blocked(uint16_t from, uint16_t to) const {
  return from < links_.size() && to < links_[from].size() && links_[from][to].blocks > 0;
}

bool Net::held_up(uint16_t from, uint16_t to) {
  if (!blocked(from, to)) return false;
  for (const auto& [kind, count] : link(from, to).kinds)
    if (count > 0) world_.counters.add(kind);
  return true;
}

void Net::begin_block(uint16_t from, uint16_t to, Kind kind) {
  if (from == to) return;
  link(from, to).blocks++;
  link(from, to).kinds[kind]++;
}

void Net::end_block(uint16_t from, uint16_t to, Kind kind) {
  if (from == to || !blocked(from, to) || link(from, to).kinds[kind] == 0) return;
  link(from, to).kinds[kind]--;
  if (--link(from, to).blocks > 0) return;
  for (auto& [id, connection] : connections_)
    for (Pipe& pipe : connection->to)
      if (connection->sides[1 - pipe.reader].machine->index() == from &&
          connection->sides[pipe.reader].machine->index() == to)
        pipe.schedule();
}

void Net::wake_writers() {
  for (auto& [id, connection] : connections_)
    for (Side& side : connection->sides)
      if (side.writing != nullptr) side.writing->wake();
}

uint64_t Net::capacity() const {
  uint64_t usual = world_.options().net.capacity;
  if (!world_.faults.on(Kind::BufferPressure)) return usual;
  auto pressed = static_cast<uint64_t>(std::max<int64_t>(world_.faults.value(Kind::BufferPressure), 1));
  return std::min(pressed, usual);
}

Duration Net::latency(const Machine& from, const Machine& to) {
  if (&from == &to) return Duration::microseconds(5) + random_.exponential(Duration::microseconds(5));
  Duration latency =
      world_.options().net.latency_min + random_.exponential(world_.options().net.latency_mean);
  if (world_.faults.strikes(Kind::LatencyTail, random_)) {
    latency =
        latency + Duration::microseconds(static_cast<int64_t>(random_.log_uniform(
                      1000, static_cast<uint64_t>(world_.options().net.latency_tail.to_microseconds()))));
    world_.counters.add(Kind::LatencyTail);
  }
  const FaultState& path = link(from.index(), to.index()).faults;
  if (path.on(Kind::SlowLink)) {
    latency = latency * std::max<int64_t>(path.value(Kind::SlowLink), 1);
    world_.counters.add(Kind::SlowLink);
  }
  if (path.on(Kind::FarLink)) {
    latency = latency + Duration::milliseconds(std::max<int64_t>(path.value(Kind::FarLink), 1));
    world_.counters.add(Kind::FarLink);
  }
  return latency;
}

Duration Net::time_on_wire(const Machine& from, const Machine& to, size_t bytes) {
  const FaultState& path = link(from.index(), to.index()).faults;
  if (bytes == 0 || !path.on(Kind::NarrowLink)) return {};
  world_.counters.add(Kind::NarrowLink);
  return Duration::seconds(1) * static_cast<int64_t>(bytes) /
         std::max<int64_t>(path.value(Kind::NarrowLink), 1);
}

Machine* Net::resolve(Machine& from, const Address& address) {
  const std::string& host = address.host;
  if (address.is_unix() || host == "127.0.0.1" || host == "localhost" || host == "0.0.0.0" || host == "::1" ||
      host == "::")
    return &from;
  return world_.find_machine(host);
}

uint32_t Net::reset_connections(Machine& machine, Machine* other) {
  std::vector<std::shared_ptr<Connection>> found;
  for (auto& [id, connection] : connections_) {
    Machine* a = connection->sides[0].machine;
    Machine* b = connection->sides[1].machine;
    bool hit = a != b && (a == &machine || b == &machine);
    if (hit && (other == nullptr || a == other || b == other))
      found.push_back(connection->shared_from_this());
  }
  for (auto& connection : found) {
    connection->reset_now(0);
    connection->reset_now(1);
  }
  return static_cast<uint32_t>(found.size());
}

uint32_t Net::reset_peers(Machine& machine) {
  uint32_t found = 0;
  for (auto& [id, connection] : connections_) {
    for (int side = 0; side < 2; side++) {
      Side& peer = connection->sides[1 - side];
      if (connection->sides[side].machine != &machine || peer.machine == &machine || peer.reset) continue;
      connection->reset_now(1 - side);
      found_dead_later(*connection, side);
      found++;
    }
  }
  return found;
}

// The side learns by its own keepalive that the connection is gone.
void Net::found_dead_later(Connection& connection, int side) {
  Duration keepalive = random_.between(Duration::seconds(2), Duration::seconds(15));
  world_.after(keepalive, [weak = connection.weak_from_this(), side] {
    if (auto self = weak.lock()) self->reset_now(side);
  });
}

void Net::process_gone(Machine& machine, bool tell_peers) {
  std::erase_if(listeners_, [&](const auto& entry) { return entry.first.first == machine.index(); });
  for (auto& [id, connection] : connections_) {
    for (int side = 0; side < 2; side++) {
      Side& own = connection->sides[side];
      if (own.machine != &machine || own.env == nullptr) continue;
      own.env = nullptr;
      own.open = false;
      if (connection->sides[1 - side].env == nullptr || connection->sides[1 - side].machine == &machine)
        continue;
      // The peer is told at once, as by a kernel that outlives its process, or by its own keepalive.
      if (tell_peers) {
        connection->send_reset(1 - side);
        continue;
      }
      world_.counters.add(Kind::HalfOpen);
      found_dead_later(*connection, 1 - side);
    }
  }
}

Result<std::unique_ptr<Listener>> NodeNetwork::listen(Task& task, const Address& address) {
  Net& net = env_.world().net();
  Machine& machine = env_.machine();
  TRY(task.yield());
  if (net.resolve(machine, address) != &machine)
    return Error(Code::Invalid, "listen on " + to_string(address) + ": not an address of " + machine.name());
  Address key = address;
  key.host.clear();
  if (!key.is_unix() && key.port == 0) {
    uint16_t& next = net.next_port_.try_emplace(machine.index(), kFirstFreePort).first->second;
    do {
      key.port = next++;
      if (next == 0) next = kFirstFreePort;
    } while (net.listeners_.contains({machine.index(), key}));
  }
  if (net.listeners_.contains({machine.index(), key}))
    return Error(Code::AlreadyExists, "listen on " + to_string(address) + ": the address is in use");
  Address shown = address;
  shown.port = key.port;
  return std::unique_ptr<Listener>(std::make_unique<NetListener>(env_, net, key, shown));
}

// The way there and whether anybody answers, with repeated attempts as TCP makes them.
Status NodeNetwork::reach(Task& task, Machine& target, const Address& address) {
  World& world = env_.world();
  Net& net = world.net();
  uint16_t here = env_.machine().index();
  uint16_t there = target.index();
  for (int attempt = 0; attempt < kConnectAttempts; attempt++) {
    TRY(task.sleep(net.latency(env_.machine(), target)));
    bool hangs = target.faults.on(Kind::ConnectHang) && here != there;
    bool lost = net.held_up(here, there) || net.held_up(there, here);
    if (target.powered() && !lost && !hangs) return {};
    if (hangs) world.counters.add(Kind::ConnectHang);
    TRY(task.sleep(Duration::milliseconds(1000) * (int64_t{1} << attempt)));
  }
  return Error(Code::Unavailable, "connect to " + to_string(address) + ": no answer");
}

std::shared_ptr<Connection> NodeNetwork::connection_to(NetListener& listener, const Address& address) {
  Net& net = env_.world().net();
  auto connection = std::make_shared<Connection>(net, net.next_id_++);
  SimEnv& there = listener.env();
  connection->sides[0] = {&env_.machine(), &env_, true, false, nullptr, nullptr, to_string(address)};
  std::string peer = env_.machine().name() + "#" + std::to_string(connection->id);
  connection->sides[1] = {&there.machine(), &there, true, false, nullptr, nullptr, peer};
  return connection;
}

Result<std::unique_ptr<Stream>> NodeNetwork::connect(Task& task, const Address& address) {
  World& world = env_.world();
  Net& net = world.net();
  Machine& here = env_.machine();
  Machine* target = net.resolve(here, address);
  uint64_t where = hash64(as_bytes(to_string(address)));
  if (target == nullptr) {
    TRY(task.yield());
    return Error(Code::Unavailable, "connect to " + to_string(address) + ": no such host");
  }
  if (target != &here && here.faults.on(Kind::NameLookupFailure)) {
    world.counters.add(Kind::NameLookupFailure);
    TRY(task.sleep(net.random_.exponential(Duration::milliseconds(100))));
    return Error(Code::Unavailable,
                 "connect to " + to_string(address) + ": temporary failure in name resolution");
  }
  TRY(reach(task, *target, address));
  Address key = address;
  key.host.clear();
  auto listener = net.listeners_.find({target->index(), key});
  bool refuse = target->faults.on(Kind::Refuse) && target != &here;
  if (refuse) world.counters.add(Kind::Refuse);
  if (refuse || listener == net.listeners_.end() || listener->second->full()) {
    world.record(EventKind::ConnectFailed, here.index(), target->index(), where);
    TRY(task.sleep(net.latency(*target, here)));
    return Error(Code::Unavailable, "connect to " + to_string(address) + ": refused");
  }
  if (target != &here && target->faults.strikes(Kind::GhostConnection, net.random_)) {
    world.counters.add(Kind::GhostConnection);
    auto ghost = connection_to(*listener->second, address);
    listener->second->offer(std::make_unique<NetStream>(ghost, 1));
    ghost->close(0);
  }
  auto connection = connection_to(*listener->second, address);
  if (world.traced()) world.log().name(where, to_string(address));
  world.record(EventKind::Connect, here.index(), connection->id, where, target->index());
  auto ours = std::make_unique<NetStream>(connection, 0);
  listener->second->offer(std::make_unique<NetStream>(connection, 1));
  TRY(task.sleep(net.latency(*target, here)));
  return std::unique_ptr<Stream>(std::move(ours));
}

}  // namespace argon::sim
