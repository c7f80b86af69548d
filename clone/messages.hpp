#pragma once

#include "base/error.hpp"
#include "clone/blocks.hpp"
#include "clone/digest.hpp"
#include "clone/disk.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// The JSON payloads of the control frames as values (docs/PROTOCOL.md 4 and 5). encode() gives the
/// payload; each parse_*() throws Error if a field is missing, of another type or beyond its limit.
namespace coldspare::clone {

inline constexpr unsigned protocol_version = 1;
inline constexpr unsigned most_streams = 16;

enum class Role { source, target };
enum class ConnectionKind { control, data };

[[nodiscard]] std::string_view word(Role role);

struct Hello {
    std::string program;
    unsigned oldest_version = protocol_version;
    unsigned newest_version = protocol_version;
    Role role = Role::source;
    ConnectionKind kind = ConnectionKind::control;
    unsigned streams = 1;              ///< control: the most data connections wanted
    std::vector<std::string> features; ///< control
    std::string identity;              ///< control: 64 hexadecimal digits; empty: no --pair
    std::string session;               ///< data: 32 hexadecimal digits
    unsigned stream = 0;               ///< data: its number
};

[[nodiscard]] std::string encode(const Hello& hello);
[[nodiscard]] Hello parse_hello(std::string_view payload);

/// What both can: throws Error if the versions do not meet or the roles are equal.
struct Agreement {
    unsigned version = protocol_version;
    unsigned streams = 1;
    bool zstd = false;
    bool inventory = false;
};
[[nodiscard]] Agreement agree(const Hello& ours, const Hello& theirs);

struct DiskMessage {
    DiskFacts facts;
    std::uint32_t block_size = default_block_size;
    bool last = true;
    bool table = false;     ///< TABLE follows
    bool inventory = false; ///< INVENTORY follows the last DISK, and is of this disk's machine
};

[[nodiscard]] std::string encode(const DiskMessage& disk);
[[nodiscard]] DiskMessage parse_disk(std::string_view payload);

enum class CopyMode {
    full,
    resume, ///< an interrupted copy: the target tells what it has, and the rest travels
    delta,  ///< an earlier clone: the same
};

/// Which disk is copied next.
struct PlanMessage {
    std::string session;
    unsigned streams = 1;
    CopyMode mode = CopyMode::full;
    unsigned disk = 0;     ///< its number in the order of the DISKs
    bool more = false;     ///< another PLAN follows when this disk is done
    bool unwanted = false; ///< UNWANTED follows
};

inline constexpr unsigned most_disks = 64;

[[nodiscard]] std::string encode(const PlanMessage& plan);
[[nodiscard]] PlanMessage parse_plan(std::string_view payload);

struct ProgressMessage {
    std::uint64_t bytes_done = 0;
    std::uint64_t io_ns = 0;
    std::uint64_t net_ns = 0;
};

[[nodiscard]] std::string encode(const ProgressMessage& progress);
[[nodiscard]] ProgressMessage parse_progress(std::string_view payload);

/// END and DONE.
struct RootMessage {
    std::string root; ///< 64 hexadecimal digits
    std::uint64_t blocks_sent = 0;
    unsigned disk = 0;
};

[[nodiscard]] std::string encode(const RootMessage& root);
[[nodiscard]] RootMessage parse_root(std::string_view payload);

/// DURABLE. Its payload is binary: both numbers as u64, little-endian.
struct DurableMessage {
    std::uint64_t epoch = 0; ///< counted from 1 in each session
    std::uint64_t bytes = 0; ///< of the disk, that are on the target's medium
};

[[nodiscard]] std::string encode(const DurableMessage& durable);
[[nodiscard]] DurableMessage parse_durable(std::string_view payload);

/// CREDIT. Its payload is binary: a u64, little-endian.
struct CreditMessage {
    std::uint64_t until = 0; ///< the target may tell what it has of the disk before this offset
};

[[nodiscard]] std::string encode(const CreditMessage& credit);
[[nodiscard]] CreditMessage parse_credit(std::string_view payload);

/// INVENTORY. Its payload is what encode_inventory() gives (base/inventory.hpp). Throws Error if
/// parse_inventory() does not take it.
void check_inventory(std::string_view payload);

/// The hint of an Error with status 3.
inline constexpr const char* go_on_hint =
    "run the same commands again: the copy goes on where it was, unless the other side says that "
    "it has finished";

[[nodiscard]] std::string encode(const Error& error);
/// The peer's ERROR as ours: "the source reports: ...". Never throws for odd content.
[[nodiscard]] Error parse_error(std::string_view payload, std::string_view from);

} // namespace coldspare::clone
