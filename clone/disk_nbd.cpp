// An export of an NBD server as a disk. What the server cannot take as it is asked for (the odd end
// of a disk, single sectors where it reads larger blocks) is read around, and written back.
#include "clone/disk_nbd.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "clone/buffer.hpp"
#include "clone/nbd_connection.hpp"
#include "clone/nbd_uri.hpp"
#include "clone/sysfs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

namespace coldspare::clone {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 20s;
// For a further connection, which one can do without: a server may leave it waiting.
constexpr auto patience_for_more = 2s;
constexpr std::string_view server_gone =
    "start the server again, then run the same command: the copy goes on where it was";
constexpr std::string_view failing_source =
    "the storage behind the server may be failing: see what the server says; "
    "'send --on-read-error skip' copies the rest";
constexpr std::string_view failing_target =
    "the storage behind the server may be full or failing: see what the server says";

bool is_lost(int error) {
    return error == ENOTCONN || error == ESHUTDOWN || error == EPIPE || error == ECONNRESET;
}

std::string reason_of(int error) {
    return is_lost(error) ? "the connection to its server was lost" : std::strerror(error);
}

class NbdDisk : public Disk {
public:
    NbdDisk(const std::filesystem::path& uri, const NbdPlace& place, NbdUse use);

    [[nodiscard]] const DiskFacts& facts() const override { return facts_; }

    void read(std::uint64_t offset, std::span<std::byte> into) override {
        require_inside(offset, into.size());
        if (!aligned(offset, into.size())) {
            Widened wide(*this, offset, into.size());
            std::ranges::copy(wide.asked(), into.begin());
            return;
        }
        NbdAnswers answers(1);
        connection_.read(answers, 0, offset, into);
        if (const int error = answers.wait().error; error != 0) {
            throw failure("reading", offset, error);
        }
    }

    void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
        require_writable();
        if (!aligned(offset, bytes.size())) {
            Widened wide(*this, offset, bytes.size());
            std::ranges::copy(bytes, wide.asked().begin());
            write(wide.offset(), wide.all());
            return;
        }
        NbdAnswers answers(1);
        connection_.write(answers, 0, offset, bytes);
        if (const int error = answers.wait().error; error != 0) {
            throw failure("writing", offset, error);
        }
    }

    void zero(std::uint64_t offset, std::uint64_t length) override {
        require_writable();
        const std::uint64_t by_server = length - length % export_.smallest;
        if (by_server > 0 && can_zero_ && zero_by_server(offset, by_server)) {
            offset += by_server;
            length -= by_server;
        }
        write_zeros(*this, offset, length);
    }

    void flush() override {
        NbdAnswers answers(1);
        connection_.flush(answers, 0);
        if (const int error = answers.wait().error; error != 0) {
            throw Error(
                fmt::format("cannot flush '{}' to its medium: {}", facts_.name, reason_of(error)),
                "data written since the last flush may be lost: check the target, "
                "then copy again");
        }
    }

    [[nodiscard]] Extent extent_at(std::uint64_t offset) override;
    [[nodiscard]] std::unique_ptr<DiskQueue> open_queue(unsigned depth) override;

    // For its queues.
    void require_alive();
    [[nodiscard]] NbdConnection& connection() { return connection_; }
    [[nodiscard]] bool aligned(std::uint64_t offset, std::uint64_t length) const {
        return offset % export_.smallest == 0 && length % export_.smallest == 0;
    }
    [[nodiscard]] bool inside(std::uint64_t offset, std::uint64_t length) const {
        return offset <= facts_.size && length <= facts_.size - offset;
    }
    [[nodiscard]] bool writable() const { return use_ == NbdUse::write; }
    [[nodiscard]] Error failure(std::string_view action, std::uint64_t offset, int error) const {
        return Error(fmt::format("{} '{}' at {} ({}): {}", action, facts_.name, offset,
                                 format_bytes(offset), reason_of(error)),
                     std::string(is_lost(error)        ? server_gone
                                 : action == "reading" ? failing_source
                                                       : failing_target));
    }

private:
    /// The smallest range around another one that the server reads and writes, with its content.
    class Widened {
    public:
        Widened(NbdDisk& disk, std::uint64_t offset, std::size_t length)
            : before_(static_cast<std::size_t>(offset % disk.export_.smallest)),
              offset_(offset - before_), length_(length),
              all_(rounded_up(before_ + length, static_cast<std::size_t>(disk.export_.smallest))) {
            disk.read(offset_, all_.span());
        }
        [[nodiscard]] std::uint64_t offset() const { return offset_; }
        [[nodiscard]] std::span<std::byte> all() { return all_.span(); }
        [[nodiscard]] std::span<std::byte> asked() { return all_.span().subspan(before_, length_); }

    private:
        static std::size_t rounded_up(std::size_t length, std::size_t unit) {
            return (length + unit - 1) / unit * unit;
        }
        std::size_t before_;
        std::uint64_t offset_;
        std::size_t length_;
        AlignedBuffer all_;
    };

    void require_usable() const;
    void require_inside(std::uint64_t offset, std::uint64_t length) const {
        if (!inside(offset, length)) {
            throw failure("reading", offset, EINVAL);
        }
    }
    void require_writable() const {
        if (!writable()) {
            throw Error(fmt::format("'{}' was opened for reading only", facts_.name));
        }
    }
    [[nodiscard]] std::uint32_t sector_of_table();
    bool zero_by_server(std::uint64_t offset, std::uint64_t length);
    [[nodiscard]] std::unique_ptr<NbdConnection> one_more();

    DiskFacts facts_;
    NbdUse use_;
    NbdConnection connection_;
    NbdConnection::Export export_;
    std::atomic<bool> can_zero_;
    std::atomic<bool> takes_more_; ///< connections
    std::mutex mutex_;
    std::uint64_t told_from_ = 0; ///< what the server said of extents last
    std::vector<NbdExtent> told_;
};

/// Over a connection of its own, or over the disk's.
class NbdQueue : public DiskQueue {
public:
    NbdQueue(NbdDisk& disk, std::unique_ptr<NbdConnection> own, unsigned depth)
        : disk_(disk), own_(std::move(own)), connection_(own_ ? *own_ : disk.connection()),
          at_once_(disk), asked_(depth), answers_(depth) {}
    ~NbdQueue() override {
        for (; sent_ > 0; --sent_) {
            static_cast<void>(answers_.wait());
        }
    }
    NbdQueue(const NbdQueue&) = delete;
    NbdQueue& operator=(const NbdQueue&) = delete;

    void read(unsigned slot, std::uint64_t offset, std::span<std::byte> into) override {
        if (!disk_.aligned(offset, into.size()) || !disk_.inside(offset, into.size())) {
            at_once_.read(slot, offset, into);
            return;
        }
        asked_.at(slot) = {"reading", offset};
        ++sent_;
        connection_.read(answers_, slot, offset, into);
    }

    void write(unsigned slot, std::uint64_t offset, std::span<const std::byte> bytes) override {
        if (!disk_.aligned(offset, bytes.size()) || !disk_.writable()) {
            at_once_.write(slot, offset, bytes);
            return;
        }
        asked_.at(slot) = {"writing", offset};
        ++sent_;
        connection_.write(answers_, slot, offset, bytes);
    }

    [[nodiscard]] Done wait() override {
        if (at_once_.under_way() > 0) {
            return at_once_.wait();
        }
        const NbdAnswers::Over over = answers_.wait();
        --sent_;
        Done done{.slot = over.slot};
        if (over.error != 0) {
            const Asked& asked = asked_[over.slot];
            done.error = disk_.failure(asked.action, asked.offset, over.error);
        }
        return done;
    }

    [[nodiscard]] unsigned under_way() const override { return sent_ + at_once_.under_way(); }

private:
    struct Asked {
        std::string_view action;
        std::uint64_t offset = 0;
    };

    NbdDisk& disk_;
    std::unique_ptr<NbdConnection> own_;
    NbdConnection& connection_;
    SynchronousQueue at_once_; // what the server cannot take as it is
    std::vector<Asked> asked_;
    unsigned sent_ = 0;
    NbdAnswers answers_;
};

DiskFacts facts_of(const std::filesystem::path& uri, const NbdPlace& place) {
    DiskFacts facts;
    facts.name = uri.string();
    facts.kind = DiskKind::nbd;
    facts.origins = {fmt::format("nbd:{}:{}:{}", place.local ? sysfs::boot_id() : std::string(),
                                 place.server, place.exported)};
    return facts;
}

NbdDisk::NbdDisk(const std::filesystem::path& uri, const NbdPlace& place, NbdUse use)
    : facts_(facts_of(uri, place)), use_(use), connection_(facts_.name, patience),
      export_(connection_.exported()), can_zero_(export_.can_zero),
      takes_more_(export_.takes_more) {
    facts_.size = export_.size;
    require_usable();
    facts_.logical_sector = sector_of_table();
    facts_.physical_sector = facts_.logical_sector;
}

void NbdDisk::require_usable() const {
    if (export_.size == 0) {
        throw Error(fmt::format("'{}' is empty: there is nothing to copy", facts_.name));
    }
    if (io_alignment % export_.smallest != 0 || export_.size % export_.smallest != 0) {
        throw Error(fmt::format("cannot use '{}': its server reads and writes blocks of {} bytes "
                                "and more, and it has {} bytes",
                                facts_.name, export_.smallest, export_.size),
                    fmt::format("serve it with a smallest block of at most {} bytes, of which its "
                                "size is a multiple",
                                io_alignment));
    }
    if (use_ == NbdUse::write && export_.read_only) {
        throw refusal(
            fmt::format("write to '{}': its server offers it for reading only", facts_.name),
            "serve it without --read-only, if it is the right one");
    }
    if (use_ == NbdUse::write && !export_.can_flush) {
        throw refusal(fmt::format("write to '{}': its server knows no flush, so nothing would be "
                                  "known to be on its medium",
                                  facts_.name),
                      "serve it with qemu-nbd, or another server that has NBD_CMD_FLUSH");
    }
}

std::uint32_t NbdDisk::sector_of_table() {
    constexpr std::string_view signature = "EFI PART";
    for (const std::uint32_t sector : {512U, 4096U}) {
        std::array<std::byte, signature.size()> bytes{};
        if (inside(sector, bytes.size())) {
            read(sector, bytes);
            if (std::memcmp(bytes.data(), signature.data(), bytes.size()) == 0) {
                return sector;
            }
        }
    }
    return 0;
}

/// Whether the server could.
bool NbdDisk::zero_by_server(std::uint64_t offset, std::uint64_t length) {
    NbdAnswers answers(1);
    connection_.zero(answers, 0, offset, length);
    const int error = answers.wait().error;
    if (error == ENOTSUP || error == EOPNOTSUPP) {
        can_zero_ = false;
        return false;
    }
    if (error != 0) {
        throw failure("zeroing", offset, error);
    }
    return true;
}

Extent NbdDisk::extent_at(std::uint64_t offset) {
    const Extent unknown{facts_.size - offset, false};
    if (!export_.has_extents) {
        return unknown;
    }
    const std::scoped_lock lock(mutex_);
    // Of a target that is being written the last word is not the newest.
    if (use_ == NbdUse::write || told_.empty() || offset < told_from_ ||
        offset >= told_.back().end) {
        told_from_ = offset - offset % export_.smallest;
        told_.clear();
        NbdAnswers answers(1);
        connection_.extents(answers, 0, told_from_, facts_.size - told_from_, told_);
        if (answers.wait().error != 0) {
            told_.clear(); // A read will tell.
        }
    }
    const auto after = [offset](const NbdExtent& extent) { return extent.end > offset; };
    auto found = std::ranges::find_if(told_, after);
    if (found == told_.end()) {
        return unknown;
    }
    const bool zero = found->zero;
    std::uint64_t end = found->end;
    for (; found != told_.end() && found->zero == zero; ++found) {
        end = found->end;
    }
    return {std::min(end, facts_.size) - offset, zero};
}

/// Throws Error if the first connection does not answer any more.
void NbdDisk::require_alive() {
    AlignedBuffer buffer(io_alignment);
    read(0, buffer.first(
                static_cast<std::size_t>(std::min<std::uint64_t>(io_alignment, facts_.size))));
}

/// Nothing where one connection has to do for all.
std::unique_ptr<NbdConnection> NbdDisk::one_more() {
    if (!takes_more_) {
        return nullptr;
    }
    try {
        auto connection = std::make_unique<NbdConnection>(facts_.name, patience_for_more);
        if (connection->exported() == export_) {
            // The name may lead to another server by now: then the first connection is dead.
            require_alive();
            return connection;
        }
    } catch (const Error&) {
        require_alive(); // It serves only so many clients at once.
    }
    takes_more_ = false;
    return nullptr;
}

std::unique_ptr<DiskQueue> NbdDisk::open_queue(unsigned depth) {
    return std::make_unique<NbdQueue>(*this, one_more(), depth);
}

} // namespace

std::unique_ptr<Disk> open_nbd(const std::filesystem::path& uri, NbdUse use, DirectIo direct) {
    const NbdPlace place = parse_nbd_uri(uri);
    if (direct == DirectIo::on) {
        throw usage_error(fmt::format("--direct on is not for '{}': its server reads and writes it "
                                      "as it likes",
                                      uri.string()),
                          "leave it out, and say it to the server: qemu-nbd --cache=none");
    }
    return std::make_unique<NbdDisk>(uri, place, use);
}

} // namespace coldspare::clone
