// What everybody needs over streams and files: whole reads and writes, whole files, durable
// replacement. Each function suspends.

#pragma once

#include <optional>

#include "core/env/env.h"

namespace argon {

// Fills `into`. Errors: the stream's; Disconnected where the stream ends before.
Status read_exact(Task& task, Stream& stream, ByteSpan into);
Status write_all(Task& task, Stream& stream, ByteView from);
// All there is up to the stream's end, as text; of more than `most` bytes, the last ones.
Result<std::string> read_to_end(Task& task, Stream& stream, size_t most);

// Fills `into` from offset. Corrupt where the file ends before.
Status read_exact_at(Task& task, File& file, uint64_t offset, ByteSpan into);
Status write_all_at(Task& task, File& file, uint64_t offset, ByteView from);

// The whole file. Unsupported where it is longer than `size_limit` bytes.
Result<Bytes> read_file(Task& task, Disk& disk, const std::string& path, uint64_t size_limit = 1u << 30);
// Replaces (or makes) the file at path with the given content, atomically and durably: temporary
// file beside it, fdatasync, rename, sync of the directory. An error leaves the old file in place, or
// (when only the last sync failed) the outcome open: MaybeApplied.
Status write_file_durably(Task& task, Disk& disk, const std::string& path, ByteView content);

// Makes the directory and its missing parents, durably. What is there already is durable afterwards, too,
// where this function made it.
Status make_dirs(Task& task, Disk& disk, const std::string& path);
// Removes the file or directory with everything below it; ok where there is none.
Status remove_tree(Task& task, Disk& disk, const std::string& path);

// Listens on a Unix socket, beside a TCP port, for processes of this machine. Null where there is no address,
// or where it cannot be had, which is logged: they connect by TCP then. Errors: Cancelled.
Result<std::unique_ptr<Listener>> listen_locally(Task& task, Env& env, const std::optional<Address>& address);

std::string parent_path(const std::string& path);
std::string join_path(std::string_view directory, std::string_view name);

}  // namespace argon
