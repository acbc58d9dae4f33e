// Frames over the streams of every world.

#include "core/env/contract/contract.h"
#include "core/wire/frame.h"

namespace argon::contract {
namespace {

struct WireFrames : Contract {};

CONTRACT(WireFrames, ArriveInOrderBehindTheHello) {
  TRY_ASSIGN(auto listener, env.network().listen(task, test.world().any_address()));
  Bytes big(wire::kFramePayloadMax);
  for (size_t i = 0; i < big.size(); i++) big[i] = static_cast<uint8_t>(i * 7 + i / 255);
  Scope scope(task);
  scope.spawn("client", [&](Task& t) -> Status {
    TRY_ASSIGN(auto stream, env.network().connect(t, listener->address()));
    wire::FrameWriter out(*stream);
    out.hello();
    for (int i = 0; i < 200; i++) out.add(static_cast<uint8_t>(i), as_bytes("head"), as_bytes("body"));
    TRY(out.write(t, 250, {}, big));
    TRY(out.write(t, 251, {}));
    return stream->shutdown_write(t);
  });
  TRY_ASSIGN(auto stream, listener->accept(task));
  wire::BufferedReader in(*stream);
  TRY_ASSIGN(bool hello, wire::peek_hello(task, in));
  EXPECT_TRUE(hello);
  TRY(wire::expect_hello(task, in));
  wire::FrameReader frames(in);
  for (int i = 0; i < 200; i++) {
    TRY_ASSIGN(wire::Frame frame, frames.read(task));
    EXPECT_EQ(frame.type, i);
    EXPECT_EQ(as_text(frame.payload), "headbody");
  }
  TRY_ASSIGN(wire::Frame frame, frames.read(task));
  EXPECT_EQ(to_bytes(frame.payload), big);
  TRY_ASSIGN(frame, frames.read(task));
  EXPECT_TRUE(frame.payload.empty());
  EXPECT_EQ(outcome(frames.read(task)), "disconnected");
  return scope.join(task);
}

CONTRACT(WireFrames, AnotherVersionAndAnotherProtocolAreToldApart) {
  TRY_ASSIGN(auto listener, env.network().listen(task, test.world().any_address()));
  for (std::string_view first : {std::string_view("ARGON\0\0\2", 8), std::string_view("GET / HT", 8)}) {
    Scope scope(task);
    scope.spawn("client", [&](Task& t) -> Status {
      TRY_ASSIGN(auto stream, env.network().connect(t, listener->address()));
      return write_all(t, *stream, as_bytes(first));
    });
    TRY_ASSIGN(auto stream, listener->accept(task));
    wire::BufferedReader in(*stream);
    EXPECT_EQ(outcome(wire::expect_hello(task, in)), first[0] == 'A' ? "unsupported" : "corrupt");
    TRY(scope.join(task));
  }
  return {};
}

}  // namespace
}  // namespace argon::contract
