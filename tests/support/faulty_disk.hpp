#pragma once

#include "base/error.hpp"
#include "clone/disk.hpp"
#include "clone/range.hpp"

#include <cerrno>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <utility>

namespace coldspare::clone {

/// Where a FaultyDisk fails.
struct Faults {
    std::optional<std::uint64_t> read_at;  ///< every read that covers this byte fails
    std::optional<std::uint64_t> write_at; ///< every write and zeroing that covers this byte fails
    bool flush = false;
};

/// Another disk that fails where it is told to, in the words of the real one.
class FaultyDisk : public Disk {
public:
    FaultyDisk(Disk& disk, Faults faults) : disk_(disk), faults_(faults) {}

    [[nodiscard]] const DiskFacts& facts() const override { return disk_.facts(); }

    void read(std::uint64_t offset, std::span<std::byte> into) override {
        fail_if(faults_.read_at, "reading", "cannot read", {offset, into.size()});
        disk_.read(offset, into);
    }
    void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
        fail_if(faults_.write_at, "writing", "cannot write", {offset, bytes.size()});
        disk_.write(offset, bytes);
    }
    void zero(std::uint64_t offset, std::uint64_t length) override {
        fail_if(faults_.write_at, "zeroing", "cannot write", {offset, length});
        disk_.zero(offset, length);
    }
    void flush() override {
        if (faults_.flush) {
            throw system_error(fmt::format("cannot flush '{}' to its medium", facts().name), EIO);
        }
        disk_.flush();
    }

private:
    void fail_if(std::optional<std::uint64_t> byte, std::string_view action,
                 std::string_view reason, Range range) const {
        if (byte && *byte >= range.offset && *byte < range.end()) {
            throw system_error(
                fmt::format("{} '{}' at {}: {}", action, facts().name, range.offset, reason), EIO);
        }
    }

    Disk& disk_;
    Faults faults_;
};

} // namespace coldspare::clone
