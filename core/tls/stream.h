// TlsStream: a Stream inside a Stream, encrypted. OpenSSL as a filter between memory and memory.
//
// One task may read while another writes, as with any Stream: OpenSSL is called between waits only, and what
// it has for the network goes out under a lock, in the order in which OpenSSL gave it. What reading makes it
// say (an answer to a change of keys) goes with the next write, or at once where it grows.
//
// Invariants:
// 1. The end of the stream is the peer's close_notify. A stream that just ends may have been cut short by
//    anybody: that is Disconnected.
// 2. Memory: at most a record (16 KiB) each way as it is on the wire, and as much in OpenSSL.
//
// After an error of write() or shutdown_write() it is not known whether the bytes will be sent. Destroying it
// closes the connection without close_notify.

#pragma once

#include "core/fiber/sync.h"
#include "core/tls/context.h"

namespace argon::tls {

// What TLS begins with on the wire, as no startup packet of PostgreSQL does.
inline constexpr uint8_t kFirstByte = 0x16;

class TlsStream final : public Stream {
 public:
  // The handshake, as server; `early` was read off the stream already. Errors: Corrupt (the client is told
  // and the message says why there is no agreement), the stream's. Suspends, until the task's deadline.
  static Result<std::unique_ptr<TlsStream>> accept(Task& task, std::shared_ptr<const Context> context,
                                                   std::unique_ptr<Stream> stream, ByteView early = {});
  // The handshake, as client of the server `host`, a name or an address that its certificate must have.
  // Errors as accept()'s.
  static Result<std::unique_ptr<TlsStream>> connect(Task& task, std::shared_ptr<const Context> context,
                                                    std::unique_ptr<Stream> stream, const std::string& host);

  Result<size_t> read(Task& task, ByteSpan into) override;
  Result<size_t> write(Task& task, ByteView from) override;
  Status shutdown_write(Task& task) override;
  void close() override { stream_->close(); }
  std::string peer() const override { return stream_->peer(); }

  // The server that the client asked for (SNI); empty where it named none.
  std::string server_name() const;
  // Whether both agreed on the context's protocol (ALPN).
  bool protocol_agreed() const;

 private:
  TlsStream(std::shared_ptr<const Context> context, std::unique_ptr<Stream> stream);
  Status handshake(Task& task);
  Error failed(int result, const char* what) const;
  Status send(Task& task);
  Status receive(Task& task);

  std::shared_ptr<const Context> context_;
  std::unique_ptr<Stream> stream_;
  Owned<SSL> session_;
  BIO* received_;  // the session's: from the network
  BIO* to_send_;   // the session's: for the network
  Mutex sending_;
  Bytes sent_from_;  // what of to_send_ is being sent
  size_t sent_ = 0;  // and how much of that was
};

}  // namespace argon::tls
