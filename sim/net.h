// Net: the simulated network. Byte streams with latency, bounded buffers and everything that goes
// wrong between machines; Unix sockets inside one.
//
// A direction of a connection is a Pipe: bytes handed over by write() travel for a drawn time, in
// order, and can then be read. Unread and travelling bytes together are bounded. While a direction is
// blocked (partition, clog) bytes stay under way and connects get no answer.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/env/network.h"
#include "core/fiber/wait_list.h"
#include "sim/world.h"

namespace argon::sim {

struct Connection;
class NetListener;
class World;

struct Pipe final : public Timer {
  Pipe(Connection& c, int reading_side) : connection(c), reader(reading_side) {}
  void fire() override;

  size_t unread() const { return data.size() - head; }
  // `sent`: the event that is the cause of the delivery.
  void push(ByteView bytes, int64_t due, uint64_t sent);
  void push_end(int64_t due);
  // Takes readable bytes. REQUIRES: readable > 0.
  size_t take(ByteSpan into);
  void schedule();
  bool under_way() const { return first_mark < marks.size(); }

  struct Mark {
    int64_t due;
    size_t bytes;
    bool end;
    Cause cause;
  };
  Connection& connection;
  int reader;
  Bytes data;
  size_t head = 0;
  size_t readable = 0;
  std::vector<Mark> marks;  // what is under way, from first_mark on
  size_t first_mark = 0;
  int64_t last_due = 0;
  bool end_sent = false;
  bool end_arrived = false;
};

struct Side {
  Machine* machine = nullptr;
  SimEnv* env = nullptr;  // null once that process is gone
  bool open = true;       // not closed by its owner
  bool reset = false;
  Waiter* reading = nullptr;
  Waiter* writing = nullptr;
  std::string peer;
};

struct Connection : std::enable_shared_from_this<Connection> {
  Connection(Net& net, uint32_t id);
  ~Connection();
  void wake(int side);
  void close(int side);
  // The other side learns, after the latency, that the connection is gone.
  void send_reset(int to_side);
  void reset_now(int side);

  Net& net;
  uint32_t id;
  Side sides[2];  // 0 connected, 1 accepted
  Pipe to[2];     // to[i] is read by side i
};

// The Network of one process.
class NodeNetwork final : public Network {
 public:
  explicit NodeNetwork(SimEnv& env) : env_(env) {}
  Result<std::unique_ptr<Listener>> listen(Task& task, const Address& address) override;
  Result<std::unique_ptr<Stream>> connect(Task& task, const Address& address) override;

 private:
  Status reach(Task& task, Machine& target, const Address& address);
  std::shared_ptr<Connection> connection_to(NetListener& listener, const Address& address);
  SimEnv& env_;
};

class Net {
 public:
  explicit Net(World& world);

  // Blocks and slows a direction. They nest. The kind's counter counts what is held up.
  void begin_block(uint16_t from, uint16_t to, faults::Kind kind = faults::Kind::OneWayPartition);
  void end_block(uint16_t from, uint16_t to, faults::Kind kind = faults::Kind::OneWayPartition);
  bool blocked(uint16_t from, uint16_t to) const;
  // Other faults of a direction.
  FaultState& faults(uint16_t from, uint16_t to) { return link(from, to).faults; }
  // Connections take more than they did: who waits to write looks again.
  void wake_writers();
  // Resets the peers' sides of the machine's connections. How many.
  uint32_t reset_peers(Machine& machine);
  // Resets connections of the machine; those between the two where `other` is given. How many.
  uint32_t reset_connections(Machine& machine, Machine* other = nullptr);
  // The process on the machine is gone with everything it had open. Before its fibers unwind. Peers are told,
  // or find out by themselves.
  void process_gone(Machine& machine, bool tell_peers);
  size_t connections() const { return connections_.size(); }

 private:
  friend struct Connection;
  friend struct Pipe;
  friend class NodeNetwork;
  friend class NetListener;
  friend class NetStream;
  friend class World;
  struct Link {
    uint32_t blocks = 0;
    std::map<faults::Kind, uint32_t> kinds;  // of the blocks
    FaultState faults;
  };
  using Port = std::pair<uint16_t, Address>;  // machine; host is empty

  Link& link(uint16_t from, uint16_t to);
  // blocked(), and counts it.
  bool held_up(uint16_t from, uint16_t to);
  Duration latency(const Machine& from, const Machine& to);
  // Bytes under way or unread that a connection takes now, each direction.
  uint64_t capacity() const;
  // What a narrow path adds for so many bytes.
  Duration time_on_wire(const Machine& from, const Machine& to, size_t bytes);
  void found_dead_later(Connection& connection, int side);
  Machine* resolve(Machine& from, const Address& address);

  World& world_;
  Random random_;
  uint32_t next_id_ = 1;
  std::map<uint32_t, Connection*> connections_;
  std::map<Port, NetListener*> listeners_;
  std::map<uint16_t, uint16_t> next_port_;
  std::vector<std::vector<Link>> links_;
};

}  // namespace argon::sim
