#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace coldspare::clone {

/// Codec of a DATA payload; the numbers are on the wire (docs/PROTOCOL.md 3).
enum class Codec : std::uint8_t { store = 0, zstd = 1 };

/// Packs blocks, one context per worker. Compression that saves less than 1/16 is not used; after
/// 8 such blocks in a row only every eighth is tried until one shrinks again.
class Packer {
public:
    Packer();
    ~Packer();
    Packer(Packer&&) noexcept;
    Packer& operator=(Packer&&) noexcept;

    /// Packs `raw` into `into` (at least raw.size() bytes). `level` as zstd(1): 1 to 19, or
    /// negative for faster ones. Returns the bytes used, or 0 if the block is better stored.
    [[nodiscard]] std::size_t pack(std::span<const std::byte> raw, std::span<std::byte> into,
                                   int level);

private:
    struct Context;
    std::unique_ptr<Context> context_;
    unsigned incompressible_ = 0;
};

/// Unpacks blocks, one context per worker.
class Unpacker {
public:
    Unpacker();
    ~Unpacker();
    Unpacker(Unpacker&&) noexcept;
    Unpacker& operator=(Unpacker&&) noexcept;

    /// Unpacks `packed` into exactly `raw`. Returns false if it is not zstd or not of that size:
    /// never writes beyond `raw`, whatever it is given.
    [[nodiscard]] bool unpack(std::span<const std::byte> packed, std::span<std::byte> raw);

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

} // namespace coldspare::clone
