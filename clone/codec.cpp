#include "clone/codec.hpp"

#include "base/error.hpp"
#include "base/handle.hpp"

#include <optional>
#include <zstd.h>

namespace coldspare::clone {

namespace {

constexpr unsigned give_up_after = 8;
constexpr unsigned try_every = 8;

/// As for the usual block: at the levels above 3 the tables for blocks of 4 MiB take 50 MiB a
/// worker, and with this 6 (zstd.h, ZSTD_c_windowLog).
constexpr int window_log = 18;

} // namespace

struct Packer::Context {
    Handle<ZSTD_CCtx, ZSTD_freeCCtx> zstd{ZSTD_createCCtx()};
    std::optional<int> level;
};

struct Unpacker::Context {
    Handle<ZSTD_DCtx, ZSTD_freeDCtx> zstd{ZSTD_createDCtx()};
};

Packer::Packer() : context_(std::make_unique<Context>()) {
    if (!context_->zstd) {
        throw Error("cannot compress: out of memory");
    }
}
Packer::~Packer() = default;
Packer::Packer(Packer&&) noexcept = default;
Packer& Packer::operator=(Packer&&) noexcept = default;

std::size_t Packer::pack(std::span<const std::byte> raw, std::span<std::byte> into, int level) {
    if (incompressible_ >= give_up_after && incompressible_ % try_every != 0) {
        ++incompressible_;
        return 0;
    }
    const std::size_t limit = raw.size() - raw.size() / 16;
    if (context_->level != level) {
        context_->level = level;
        ZSTD_CCtx_setParameter(context_->zstd.get(), ZSTD_c_windowLog, window_log);
        ZSTD_CCtx_setParameter(context_->zstd.get(), ZSTD_c_compressionLevel, level);
    }
    // A destination that is too small ends the attempt early: that is the answer "does not shrink".
    const std::size_t size =
        ZSTD_compress2(context_->zstd.get(), into.data(), limit < into.size() ? limit : into.size(),
                       raw.data(), raw.size());
    if (ZSTD_isError(size) != 0) {
        ++incompressible_;
        return 0;
    }
    incompressible_ = 0;
    return size;
}

Unpacker::Unpacker() : context_(std::make_unique<Context>()) {
    if (!context_->zstd) {
        throw Error("cannot decompress: out of memory");
    }
}
Unpacker::~Unpacker() = default;
Unpacker::Unpacker(Unpacker&&) noexcept = default;
Unpacker& Unpacker::operator=(Unpacker&&) noexcept = default;

bool Unpacker::unpack(std::span<const std::byte> packed, std::span<std::byte> raw) {
    const std::size_t size = ZSTD_decompressDCtx(context_->zstd.get(), raw.data(), raw.size(),
                                                 packed.data(), packed.size());
    return ZSTD_isError(size) == 0 && size == raw.size();
}

} // namespace coldspare::clone
