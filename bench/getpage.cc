// Random GetPage over loopback: a client, and the plainest servers of the same protocol to hold a pageserver
// against.
//
// usage: bench_getpage client PORT TENANT TIMELINE SPC/DB/REL BLOCKS DEPTH SECONDS
//            so many requests in flight, of blocks at random: pages a second, and the median and 99th
//            percentile of an answer's time in microseconds
//        bench_getpage copy PORT TENANT TIMELINE SPC/DB/REL BLOCKS FILE
//            every block once, in order, into the file
//        bench_getpage serve FILE
//            each page by pread from the file; `serve -`: one page from memory, the raw loopback. Prints its
//            port, serves until it is killed, one thread a connection.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/clock.h"
#include "core/base/codec.h"
#include "core/base/random.h"
#include "core/wire/pagestream.h"
#include "core/wire/pg_messages.h"

namespace {

using namespace argon;

constexpr size_t kSendAt = 256 * 1024;  // as the page service

// A connection that blocks. What cannot be sent or received ends the program (a server's thread: the
// connection).
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {
    int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  [[nodiscard]] bool send(const Bytes& bytes) {
    for (size_t sent = 0; sent < bytes.size();) {
      ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += static_cast<size_t>(n);
    }
    return true;
  }
  // The next message's type and body, borrowed until the next call; without a type for the startup packet.
  [[nodiscard]] bool read(bool has_type, uint8_t& type, ByteView& body) {
    size_t head = has_type ? 5 : 4;
    while (true) {
      if (whole(head)) break;
      if (!fill()) return false;
    }
    type = has_type ? buffer_[begin_] : 0;
    size_t length = length_at(begin_ + head - 4);
    body = ByteView(&buffer_[begin_ + head], length - 4);
    begin_ += head - 4 + length;
    return true;
  }
  bool ready() const { return whole(5); }

 private:
  size_t length_at(size_t at) const {
    return size_t{buffer_[at]} << 24 | size_t{buffer_[at + 1]} << 16 | size_t{buffer_[at + 2]} << 8 |
           buffer_[at + 3];
  }
  bool whole(size_t head) const {
    return end_ - begin_ >= head && end_ - begin_ >= head - 4 + length_at(begin_ + head - 4);
  }
  bool fill() {
    if (begin_ > 0) std::memmove(buffer_.data(), &buffer_[begin_], end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    CHECK(end_ < buffer_.size(), "a message longer than any of these");
    ssize_t n = recv(fd_, &buffer_[end_], buffer_.size() - end_, 0);
    if (n <= 0) return false;
    end_ += static_cast<size_t>(n);
    return true;
  }

  int fd_;
  Bytes buffer_ = Bytes(2 * kSendAt);
  size_t begin_ = 0;
  size_t end_ = 0;
};

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// ---- The client

struct Relation {
  wire::PageRel rel;
  uint32_t blocks = 0;
};

std::unique_ptr<Socket> connect_to(uint16_t port, std::string_view tenant, std::string_view timeline) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(port);
  CHECK(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "connect");
  auto server = std::make_unique<Socket>(fd);
  Bytes out;
  Writer(out).be<uint32_t>(0).be(wire::kProtocolVersion3).cstring("user").cstring("bench").u8(0);
  out[3] = static_cast<uint8_t>(out.size());
  {
    wire::PgMessageWriter query(out, 'Q');
    Writer(out).cstring("pagestream_v3 " + std::string(tenant) + " " + std::string(timeline));
  }
  CHECK(server->send(out));
  uint8_t type = 0;
  ByteView body;
  while (type != 'W') {
    CHECK(server->read(true, type, body), "the server closed the connection");
    CHECK(type != 'E', wire::parse_error(body).to_string());
  }
  return server;
}

class Client {
 public:
  Client(Socket& server, const Relation& relation) : server_(server), relation_(relation) {}

  void ask(uint32_t block) {
    asked_.push_back({block, bench::real_ns()});
    wire::PgMessageWriter message(out_, 'd');
    wire::encode_page_request(
        out_, {asked_.size() - 1, Lsn::max(), Lsn(), wire::GetPageRequest{relation_.rel, block}});
  }
  void send() {
    CHECK(server_.send(out_));
    out_.clear();
  }
  // The next answer; its page is borrowed until the next call.
  ByteView answer() {
    uint8_t type = 0;
    ByteView body;
    CHECK(server_.read(true, type, body) && type == 'd', "the server ended the stream");
    auto response = wire::parse_page_response(body);
    CHECK(response.ok(), response.error().to_string());
    if (auto* error = std::get_if<wire::ErrorAnswer>(&response->answer)) CHECK(false, error->message);
    const Asked& asked = asked_[answered_++];
    const auto* what = std::get_if<wire::GetPageRequest>(&response->request.what);
    CHECK(what != nullptr && what->block == asked.block, "an answer to another request");
    times_.push_back(bench::real_ns() - asked.at);
    return std::get<wire::PageAnswer>(response->answer).page;
  }
  bool more_arrived() const { return server_.ready(); }
  size_t answered() const { return answered_; }
  double microseconds(double share) {
    auto at = times_.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(times_.size() - 1));
    std::nth_element(times_.begin(), at, times_.end());
    return static_cast<double>(*at) / 1e3;
  }

 private:
  struct Asked {
    uint32_t block;
    int64_t at;
  };
  Socket& server_;
  Relation relation_;
  Bytes out_;
  std::vector<Asked> asked_;  // by request id
  std::vector<int64_t> times_;
  size_t answered_ = 0;
};

void read_at_random(Socket& server, const Relation& relation, int depth, double seconds) {
  Random random(static_cast<uint64_t>(bench::real_ns()));
  auto ask_one = [&](Client& client) { client.ask(static_cast<uint32_t>(random.below(relation.blocks))); };
  Client client(server, relation);
  int64_t begin = bench::real_ns();
  int64_t end = begin + static_cast<int64_t>(seconds * 1e9);
  for (int i = 0; i < depth; i++) ask_one(client);
  client.send();
  while (bench::real_ns() < end) {
    do {
      client.answer();
      ask_one(client);
    } while (client.more_arrived());
    client.send();
  }
  double rate = static_cast<double>(client.answered()) * 1e9 / static_cast<double>(bench::real_ns() - begin);
  std::printf("%.0f %.2f %.2f\n", rate, client.microseconds(0.5), client.microseconds(0.99));
}

void copy(Socket& server, const Relation& relation, const char* path) {
  std::FILE* file = std::fopen(path, "w");
  CHECK(file != nullptr, path);
  Client client(server, relation);
  uint32_t asked = 0;
  for (uint32_t block = 0; block < relation.blocks; block++) {
    for (; asked < relation.blocks && asked < block + 128; asked++) client.ask(asked);
    client.send();
    ByteView page = client.answer();
    CHECK(std::fwrite(page.data(), page.size(), 1, file) == 1, path);
  }
  CHECK(std::fclose(file) == 0, path);
}

// ---- The servers

bool start(Socket& client) {
  uint8_t type = 0;
  ByteView body;
  Bytes out;
  if (!client.read(false, type, body)) return false;
  wire::put_message(out, 'R', Bytes(4));
  wire::put_message(out, 'Z', Bytes{'I'});
  if (!client.send(out) || !client.read(true, type, body) || type != 'Q') return false;
  out.clear();
  wire::put_message(out, 'W', Bytes(3));
  return client.send(out);
}

// `file`: of all pages in order; -1: the same page again and again.
void serve(int fd, int file) {
  Socket client(fd);
  if (!start(client)) return;
  uint8_t type = 0;
  ByteView body;
  Bytes page(wire::kPageSize, 1);
  Bytes out;
  while (client.read(true, type, body) && type == 'd') {
    auto request = wire::parse_page_request(body);
    const auto* what = request.ok() ? std::get_if<wire::GetPageRequest>(&request->what) : nullptr;
    if (what == nullptr) return;
    if (file >= 0 &&
        pread(file, page.data(), page.size(), off_t{what->block} * off_t{wire::kPageSize}) != wire::kPageSize)
      return;
    {
      wire::PgMessageWriter message(out, 'd');
      wire::encode_page_response(out, {*request, wire::PageAnswer{page}});
    }
    if (client.ready() && out.size() < kSendAt) continue;
    if (!client.send(out)) return;
    out.clear();
  }
}

[[noreturn]] void serve_all(std::string_view path) {
  int file = path == "-" ? -1 : open(std::string(path).c_str(), O_RDONLY | O_CLOEXEC);
  CHECK(path == "-" || file >= 0, std::string(path));
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  CHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0 && listen(listener, 16) == 0);
  CHECK(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  for (;;) {
    int fd = accept(listener, nullptr, nullptr);
    if (fd >= 0) std::thread(serve, fd, file).detach();
  }
}

Relation parse_relation(const char* name, const char* blocks) {
  Relation relation;
  CHECK(std::sscanf(name, "%u/%u/%u", &relation.rel.spc, &relation.rel.db, &relation.rel.rel) == 3, name);
  relation.blocks = static_cast<uint32_t>(std::strtoul(blocks, nullptr, 10));
  CHECK(relation.blocks > 0, "a relation without blocks");
  return relation;
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "serve" && argc == 3) serve_all(argv[2]);
  bool client = verb == "client" && argc == 9;
  if (!client && !(verb == "copy" && argc == 8)) {
    std::fputs(
        "usage: bench_getpage client PORT TENANT TIMELINE SPC/DB/REL BLOCKS DEPTH SECONDS\n"
        "       bench_getpage copy PORT TENANT TIMELINE SPC/DB/REL BLOCKS FILE\n"
        "       bench_getpage serve FILE|-\n",
        stderr);
    return 2;
  }
  auto server = connect_to(static_cast<uint16_t>(std::strtoul(argv[2], nullptr, 10)), argv[3], argv[4]);
  Relation relation = parse_relation(argv[5], argv[6]);
  if (client)
    read_at_random(*server, relation, std::max(1, std::atoi(argv[7])), std::strtod(argv[8], nullptr));
  else
    copy(*server, relation, argv[7]);
}
